import { listWorkspaces } from '../domain/workspaces/read.js';
import { ForbiddenError, LimitReachedError, NotFoundError, ValidationError } from '../errors.js';
import { builder } from './builder.js';
import { WorkspaceKind } from './enums.js';
import { Node } from './nodes.js';
import { pageComplexity, resolvePage } from './pages.js';

export const Workspace = builder.prismaObject('Workspace', {
  interfaces: [Node],
  description: 'A tenant. Owns API keys and one pool of credits.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Unique id.' }),
    name: t.exposeString('name', { description: 'Display name, 1 to 100 characters.' }),
    kind: t.expose('kind', {
      type: WorkspaceKind,
      description: 'Whether it belongs to one person or to an organization.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'Time of creation.' }),
    suspendedAt: t.expose('suspendedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Time since which all its keys are refused. Null: not suspended.',
    }),
    suspensionReason: t.exposeString('suspensionReason', {
      nullable: true,
      description: 'Reason of the suspension, at most 500 characters. Null: none given, or not suspended.',
    }),
  }),
});

const EnabledFeature = builder.prismaObject('WorkspaceFeature', {
  name: 'EnabledFeature',
  description: 'A product feature that is enabled for a workspace.',
  fields: (t) => ({
    product: t.exposeString('product', { description: 'Slug of the product.' }),
    feature: t.exposeString('feature', { description: 'Name of the feature, as in `Product.features`.' }),
    enabledAt: t.expose('enabledAt', { type: 'DateTime', description: 'Time at which the feature was enabled.' }),
  }),
});

builder.prismaObjectField(Workspace, 'features', (t) =>
  t.field({
    type: [EnabledFeature],
    description: 'Product features that are enabled, by product and name.',
    resolve: ({ id }, _args, { loaders }) => loaders.featuresOf.load(id),
  }),
);

builder.queryFields((t) => ({
  workspaces: t.connection({
    type: Workspace,
    complexity: pageComplexity,
    description: 'Workspaces of the caller, newest first. All workspaces for services.',
    authScopes: { permission: 'workspace:read' },
    resolve: (_root, args, { deps, actor }) =>
      resolvePage(args, (page) => listWorkspaces(deps.db, actor.principal, page)),
  }),
  workspace: t.field({
    type: Workspace,
    nullable: true,
    description: 'A workspace by its id. Null: it does not exist or is not visible to the caller.',
    authScopes: { permission: 'workspace:read' },
    args: { id: t.arg.id({ required: true, description: 'Id of the workspace.' }) },
    resolve: (_root, { id }, { loaders }) => loaders.nodes.Workspace(id),
  }),
}));

type WorkspaceShape = { workspace: typeof Workspace.$inferType };

/** A payload that shows the workspace as it is now. */
function workspacePayload(name: string, description: string) {
  return builder.objectRef<WorkspaceShape>(name).implement({
    description,
    fields: (t) => ({
      workspace: t.field({
        type: Workspace,
        description: 'The workspace after the change.',
        resolve: ({ workspace }) => workspace,
      }),
    }),
  });
}

const workspaceId = 'Id of the workspace.';

const CreateWorkspaceInput = builder.inputType('CreateWorkspaceInput', {
  description: 'An organization to create.',
  fields: (t) => ({ name: t.string({ required: true, description: 'Display name, 1 to 100 characters.' }) }),
});

const UpdateWorkspaceInput = builder.inputType('UpdateWorkspaceInput', {
  description: 'Changes to a workspace.',
  fields: (t) => ({
    workspaceId: t.id({ required: true, description: workspaceId }),
    name: t.string({ required: true, description: 'Display name, 1 to 100 characters.' }),
  }),
});

const SuspendWorkspaceInput = builder.inputType('SuspendWorkspaceInput', {
  description: 'A workspace to suspend.',
  fields: (t) => ({
    workspaceId: t.id({ required: true, description: workspaceId }),
    reason: t.string({ description: 'Reason for the audit trail, visible to the members. At most 500 characters.' }),
  }),
});

const ResumeWorkspaceInput = builder.inputType('ResumeWorkspaceInput', {
  description: 'A suspended workspace to resume.',
  fields: (t) => ({ workspaceId: t.id({ required: true, description: workspaceId }) }),
});

const EnableFeatureInput = switchFeatureInput('EnableFeatureInput', 'A feature to enable.');
const DisableFeatureInput = switchFeatureInput('DisableFeatureInput', 'A feature to disable.');

function switchFeatureInput(name: string, description: string) {
  return builder.inputType(name, {
    description,
    fields: (t) => ({
      workspaceId: t.id({ required: true, description: workspaceId }),
      product: t.string({ required: true, description: 'Slug of the product.' }),
      feature: t.string({ required: true, description: 'Name of the feature, as in `Product.features`.' }),
    }),
  });
}

builder.mutationFields((t) => ({
  createWorkspace: t.field({
    type: workspacePayload('CreateWorkspacePayload', 'The created organization.'),
    description: 'Makes an organization. Its maker is the owner.',
    authScopes: { permission: 'workspace:create' },
    args: { input: t.arg({ type: CreateWorkspaceInput, required: true, description: 'What to make.' }) },
    errors: { types: [ValidationError, LimitReachedError] },
    resolve: (_root, { input }, { actor, domain }) => domain.workspaces.create(actor, input),
  }),
  updateWorkspace: t.field({
    type: workspacePayload('UpdateWorkspacePayload', 'The changed workspace.'),
    description: 'Renames a workspace.',
    authScopes: { permission: 'workspace:update' },
    args: { input: t.arg({ type: UpdateWorkspaceInput, required: true, description: 'What to change.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    resolve: (_root, { input }, { actor, domain }) => domain.workspaces.update(actor, input),
  }),
  suspendWorkspace: t.field({
    type: workspacePayload('SuspendWorkspacePayload', 'The suspended workspace.'),
    description: 'Refuses every key of a workspace from the next verification on. For services.',
    authScopes: { permission: 'workspace:suspend' },
    args: { input: t.arg({ type: SuspendWorkspaceInput, required: true, description: 'What to suspend.' }) },
    errors: { types: [ValidationError, NotFoundError] },
    resolve: (_root, { input }, { actor, domain }) => domain.workspaces.suspend(actor, input),
  }),
  resumeWorkspace: t.field({
    type: workspacePayload('ResumeWorkspacePayload', 'The resumed workspace.'),
    description: 'Ends a suspension: the keys work again. For services.',
    authScopes: { permission: 'workspace:suspend' },
    args: { input: t.arg({ type: ResumeWorkspaceInput, required: true, description: 'What to resume.' }) },
    errors: { types: [NotFoundError] },
    resolve: (_root, { input }, { actor, domain }) => domain.workspaces.resume(actor, input),
  }),
  enableFeature: t.field({
    type: workspacePayload('EnableFeaturePayload', 'The workspace with the enabled feature.'),
    description:
      'Switches a feature of a product on for a workspace. The product says which of them customers switch by themselves.',
    authScopes: { permission: 'feature:update' },
    args: { input: t.arg({ type: EnableFeatureInput, required: true, description: 'What to switch on.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    resolve: (_root, { input }, { actor, domain }) => domain.features.enable(actor, input),
  }),
  disableFeature: t.field({
    type: workspacePayload('DisableFeaturePayload', 'The workspace without the feature.'),
    description: 'Switches a feature of a product off for a workspace.',
    authScopes: { permission: 'feature:update' },
    args: { input: t.arg({ type: DisableFeatureInput, required: true, description: 'What to switch off.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    resolve: (_root, { input }, { actor, domain }) => domain.features.disable(actor, input),
  }),
}));
