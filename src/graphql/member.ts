import {
  ConflictError,
  ForbiddenError,
  LimitReachedError,
  NotFoundError,
  SecretUnavailableError,
  ValidationError,
} from '../errors.js';
import { builder } from './builder.js';
import { Role } from './enums.js';
import { Node } from './nodes.js';
import { pageComplexity, resolveNestedPage } from './pages.js';
import { User } from './user.js';
import { Workspace } from './workspace.js';

/** Keys see their workspace, but not its people. */
const seesPeople = { permission: 'member:read' } as const;

export const Member = builder.prismaObject('Member', {
  interfaces: [Node],
  description: 'Somebody in a workspace.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Names this membership.' }),
    user: t.field({
      type: User,
      description: 'Who.',
      resolve: ({ userId }, _args, { loaders }) => loaders.usersById.load(userId),
    }),
    workspace: t.field({
      type: Workspace,
      description: 'Where.',
      resolve: ({ workspaceId }, _args, { loaders }) => loaders.workspacesById.load(workspaceId),
    }),
    role: t.expose('role', { type: Role, description: 'As what.' }),
    permissions: t.exposeStringList('permissions', { description: "Permissions held beside the role's." }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'Since when.' }),
  }),
});

export const Invitation = builder.prismaObject('Invitation', {
  interfaces: [Node],
  description: 'Somebody who was asked into a workspace and has not come yet.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Names this invitation.' }),
    workspace: t.field({
      type: Workspace,
      description: 'Where to.',
      resolve: ({ workspaceId }, _args, { loaders }) => loaders.workspacesById.load(workspaceId),
    }),
    email: t.exposeString('email', { description: 'Who: only this address can accept.' }),
    role: t.expose('role', { type: Role, description: 'As what.' }),
    invitedBy: t.field({
      type: User,
      nullable: true,
      description: 'By whom; null for a service.',
      resolve: ({ invitedById }, _args, { loaders }) =>
        invitedById === null ? null : loaders.usersById.load(invitedById),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'Until when it can be accepted.' }),
    acceptedAt: t.expose('acceptedAt', { type: 'DateTime', nullable: true, description: 'When it was accepted.' }),
  }),
});

builder.prismaObjectFields(Workspace, (t) => ({
  members: t.connection({
    type: Member,
    complexity: pageComplexity,
    authScopes: seesPeople,
    description: 'Who belongs to it, newest first.',
    resolve: ({ id }, args, { loaders }) => resolveNestedPage(loaders.membersOf, id, args),
  }),
  invitations: t.connection({
    type: Invitation,
    complexity: pageComplexity,
    authScopes: seesPeople,
    description: 'Who was asked and has not come yet, newest first.',
    resolve: ({ id }, args, { loaders }) => resolveNestedPage(loaders.invitationsOf, id, args),
  }),
}));

const InviteMemberInput = builder.inputType('InviteMemberInput', {
  description: 'Whom to invite.',
  fields: (t) => ({
    workspaceId: t.id({ required: true, description: 'An organization.' }),
    email: t.string({ required: true, description: 'The address of whoever is to come.' }),
    role: t.field({ type: Role, required: true, description: 'At most the role of whoever invites.' }),
  }),
});

const InviteMemberPayload = builder
  .objectRef<{ invitation: typeof Invitation.$inferType; token: string }>('InviteMemberPayload')
  .implement({
    description: 'The invitation and its token.',
    fields: (t) => ({
      invitation: t.field({ type: Invitation, description: 'The invitation.', resolve: (p) => p.invitation }),
      token: t.exposeString('token', {
        description: 'Shown this once. Hand it to the person: this server sends no mail.',
      }),
    }),
  });

const AcceptInvitationInput = builder.inputType('AcceptInvitationInput', {
  description: 'An invitation to accept.',
  fields: (t) => ({ token: t.string({ required: true, description: 'The token of the invitation.' }) }),
});

const UpdateMemberInput = builder.inputType('UpdateMemberInput', {
  description: 'What to change of a member. What is not named stays.',
  fields: (t) => ({
    memberId: t.id({ required: true, description: 'The id of the member.' }),
    role: t.field({ type: Role, description: 'At most the role of whoever changes it.' }),
    permissions: t.stringList({
      description:
        'All that the member is to hold beside the role, such as `settings:manage`. Nobody gives what they do not hold.',
    }),
  }),
});

function memberPayload(name: string, description: string) {
  return builder.objectRef<{ member: typeof Member.$inferType }>(name).implement({
    description,
    fields: (t) => ({
      member: t.field({ type: Member, description: 'The member as it is now.', resolve: ({ member }) => member }),
    }),
  });
}

const RemoveMemberInput = builder.inputType('RemoveMemberInput', {
  description: 'A member to take out.',
  fields: (t) => ({ memberId: t.id({ required: true, description: 'The id of the member; your own, to leave.' }) }),
});

const RemoveMemberPayload = builder.objectRef<{ removedMemberId: string }>('RemoveMemberPayload').implement({
  description: 'Who is no member any more.',
  fields: (t) => ({
    removedMemberId: t.exposeID('removedMemberId', { description: 'The id that names nobody now.' }),
  }),
});

builder.mutationFields((t) => ({
  inviteMember: t.field({
    type: InviteMemberPayload,
    description: 'Invites an address to an organization, for seven days.',
    authScopes: { permission: 'member:invite' },
    args: { input: t.arg({ type: InviteMemberInput, required: true, description: 'Whom to invite.' }) },
    errors: {
      types: [ValidationError, NotFoundError, ForbiddenError, ConflictError, LimitReachedError, SecretUnavailableError],
    },
    resolve: (_root, { input }, { actor, domain }) => domain.members.invite(actor, input),
  }),
  acceptInvitation: t.field({
    type: memberPayload('AcceptInvitationPayload', 'The new membership.'),
    description: 'Joins the workspace of an invitation. The token counts once, for the address that was invited.',
    authScopes: { permission: 'member:join' },
    args: { input: t.arg({ type: AcceptInvitationInput, required: true, description: 'What to accept.' }) },
    errors: { types: [NotFoundError, ConflictError, LimitReachedError] },
    resolve: (_root, { input }, { actor, domain }) => domain.members.accept(actor, input),
  }),
  updateMember: t.field({
    type: memberPayload('UpdateMemberPayload', 'The changed member.'),
    description: "Changes a member's role, or what is held beside it.",
    authScopes: { permission: 'member:update' },
    args: { input: t.arg({ type: UpdateMemberInput, required: true, description: 'What to change.' }) },
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, ConflictError] },
    resolve: (_root, { input }, { actor, domain }) => domain.members.update(actor, input),
  }),
  removeMember: t.field({
    type: RemoveMemberPayload,
    description: 'Takes a member out of a workspace. Everybody may take out themselves; the last owner stays.',
    authScopes: { permission: 'member:read' },
    args: { input: t.arg({ type: RemoveMemberInput, required: true, description: 'Whom to take out.' }) },
    errors: { types: [NotFoundError, ForbiddenError, ConflictError] },
    resolve: (_root, { input }, { actor, domain }) => domain.members.remove(actor, input),
  }),
}));
