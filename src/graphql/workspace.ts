import { createWorkspace } from '../domain/workspaces/create.js';
import { disableFeature, enableFeature } from '../domain/workspaces/features.js';
import { listWorkspaces } from '../domain/workspaces/read.js';
import { resumeWorkspace, suspendWorkspace, updateWorkspace } from '../domain/workspaces/update.js';
import { ForbiddenError, LimitReachedError, NotFoundError, ValidationError } from '../errors.js';
import { builder } from './builder.js';
import { commandField } from './command-field.js';
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
    resolve: (_root, args, { services, actor }) =>
      resolvePage(args, (page) => listWorkspaces(services.db, actor.principal, page)),
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

commandField(createWorkspace, {
  description: 'Creates an organization. The caller becomes its owner.',
  input: CreateWorkspaceInput,
  inputDescription: 'The organization to create.',
  payload: workspacePayload('CreateWorkspacePayload', 'The created organization.'),
  errors: [ValidationError, LimitReachedError],
});

commandField(updateWorkspace, {
  description: 'Changes the name of a workspace.',
  input: UpdateWorkspaceInput,
  inputDescription: 'The workspace and its changes.',
  payload: workspacePayload('UpdateWorkspacePayload', 'The changed workspace.'),
  errors: [ValidationError, NotFoundError, ForbiddenError],
});

commandField(suspendWorkspace, {
  description: 'Suspends a workspace: all its keys are refused from the next verification on. For services.',
  input: SuspendWorkspaceInput,
  inputDescription: 'The workspace to suspend.',
  payload: workspacePayload('SuspendWorkspacePayload', 'The suspended workspace.'),
  errors: [ValidationError, NotFoundError],
});

commandField(resumeWorkspace, {
  description: 'Ends the suspension of a workspace: its keys are accepted again. For services.',
  input: ResumeWorkspaceInput,
  inputDescription: 'The workspace to resume.',
  payload: workspacePayload('ResumeWorkspacePayload', 'The resumed workspace.'),
  errors: [NotFoundError],
});

commandField(enableFeature, {
  description:
    'Enables a product feature for a workspace. The product defines which features customers can enable themselves.',
  input: EnableFeatureInput,
  inputDescription: 'The feature to enable.',
  payload: workspacePayload('EnableFeaturePayload', 'The workspace with the enabled feature.'),
  errors: [ValidationError, NotFoundError, ForbiddenError],
});

commandField(disableFeature, {
  description:
    'Disables a product feature for a workspace. The product defines which features customers can disable themselves.',
  input: DisableFeatureInput,
  inputDescription: 'The feature to disable.',
  payload: workspacePayload('DisableFeaturePayload', 'The workspace without the feature.'),
  errors: [ValidationError, NotFoundError, ForbiddenError],
});
