import { decideInvitationState } from '../domain/workspaces/invitation-state.js';
import { acceptInvitation, inviteMember, revokeInvitation } from '../domain/workspaces/invitations.js';
import { removeMember, updateMember } from '../domain/workspaces/members.js';
import {
  ConflictError,
  ForbiddenError,
  LimitReachedError,
  NotFoundError,
  SecretUnavailableError,
  ValidationError,
} from '../errors.js';
import { builder } from './builder.js';
import { commandField } from './command-field.js';
import { InvitationState, Role } from './enums.js';
import { Node } from './nodes.js';
import { pageComplexity, resolveNestedPage } from './pages.js';
import { User } from './user.js';
import { Workspace } from './workspace.js';

/** Keys see their workspace, but not its people. */
const seesPeople = { permission: 'member:read' } as const;

export const Member = builder.prismaObject('Member', {
  interfaces: [Node],
  description: 'A user in a workspace.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Unique id of the membership.' }),
    user: t.field({
      type: User,
      description: 'The user.',
      resolve: ({ userId }, _args, { loaders }) => loaders.usersById.load(userId),
    }),
    workspace: t.field({
      type: Workspace,
      description: 'The workspace.',
      resolve: ({ workspaceId }, _args, { loaders }) => loaders.workspacesById.load(workspaceId),
    }),
    role: t.expose('role', { type: Role, description: 'Role of the user in the workspace.' }),
    permissions: t.exposeStringList('permissions', {
      description: 'Permissions that the member holds in addition to those of the role.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'Time at which the user joined.' }),
  }),
});

export const Invitation = builder.prismaObject('Invitation', {
  interfaces: [Node],
  description: 'An invitation to a workspace.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Unique id.' }),
    workspace: t.field({
      type: Workspace,
      description: 'The workspace to join.',
      resolve: ({ workspaceId }, _args, { loaders }) => loaders.workspacesById.load(workspaceId),
    }),
    email: t.exposeString('email', {
      description:
        'E-mail address of the invited person. Only a user with this address can accept; an identity provider has to vouch for it.',
    }),
    role: t.expose('role', { type: Role, description: 'Role that the invited person gets.' }),
    invitedBy: t.field({
      type: User,
      nullable: true,
      description: 'User who sent the invitation. Null: a service sent it.',
      resolve: ({ invitedById }, _args, { loaders }) =>
        invitedById === null ? null : loaders.usersById.load(invitedById),
    }),
    state: t.field({
      type: InvitationState,
      description: 'Current state. Only a `PENDING` invitation can be accepted.',
      resolve: (invitation, _args, { services }) => decideInvitationState(invitation, services.clock()),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'Time of creation.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'Time after which the invitation cannot be accepted: seven days after its creation.',
    }),
    acceptedAt: t.expose('acceptedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Time at which it was accepted. Null: not accepted.',
    }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Time at which it was revoked. Null: not revoked.',
    }),
  }),
});

const InvitationFilter = builder.inputType('InvitationFilter', {
  description: 'Conditions that listed invitations meet. Omitted fields are ignored.',
  fields: (t) => ({
    state: t.field({ type: InvitationState, description: 'Only invitations in this state.' }),
  }),
});

builder.prismaObjectFields(Workspace, (t) => ({
  members: t.connection({
    type: Member,
    complexity: pageComplexity,
    authScopes: seesPeople,
    description: 'Members, newest first.',
    resolve: ({ id }, args, { loaders }) => resolveNestedPage(loaders.membersOf, id, args),
  }),
  invitations: t.connection({
    type: Invitation,
    complexity: pageComplexity,
    authScopes: seesPeople,
    description: 'Invitations in any state, newest first.',
    args: { filter: t.arg({ type: InvitationFilter, description: 'Only invitations that meet these conditions.' }) },
    resolve: ({ id }, { filter, ...args }, { loaders }) =>
      resolveNestedPage(loaders.invitationsOf(filter?.state ?? null), id, args),
  }),
}));

const InviteMemberInput = builder.inputType('InviteMemberInput', {
  description: 'An invitation to send.',
  fields: (t) => ({
    workspaceId: t.id({ required: true, description: 'Id of the organization.' }),
    email: t.string({ required: true, description: 'E-mail address of the person to invite.' }),
    role: t.field({
      type: Role,
      required: true,
      description: 'Role that the invited person gets, at most the role of the caller.',
    }),
  }),
});

const InviteMemberPayload = builder
  .objectRef<{ invitation: typeof Invitation.$inferType; token: string }>('InviteMemberPayload')
  .implement({
    description: 'The created invitation and its token.',
    fields: (t) => ({
      invitation: t.field({ type: Invitation, description: 'The invitation.', resolve: (p) => p.invitation }),
      token: t.exposeString('token', {
        description:
          'Token to accept the invitation, shown only once. Send it to the person: this server sends no e-mail.',
      }),
    }),
  });

const RevokeInvitationInput = builder.inputType('RevokeInvitationInput', {
  description: 'An invitation to revoke.',
  fields: (t) => ({ invitationId: t.id({ required: true, description: 'Id of the invitation.' }) }),
});

const RevokeInvitationPayload = builder
  .objectRef<{ invitation: typeof Invitation.$inferType }>('RevokeInvitationPayload')
  .implement({
    description: 'The revoked invitation.',
    fields: (t) => ({
      invitation: t.field({ type: Invitation, description: 'The invitation.', resolve: (p) => p.invitation }),
    }),
  });

const AcceptInvitationInput = builder.inputType('AcceptInvitationInput', {
  description: 'An invitation to accept.',
  fields: (t) => ({ token: t.string({ required: true, description: 'Token of the invitation.' }) }),
});

const UpdateMemberInput = builder.inputType('UpdateMemberInput', {
  description: 'Changes to a member. Omitted fields stay unchanged.',
  fields: (t) => ({
    memberId: t.id({ required: true, description: 'Id of the member.' }),
    role: t.field({ type: Role, description: 'New role, at most the role of the caller.' }),
    permissions: t.stringList({
      description:
        'All permissions in addition to those of the role, such as `settings:manage`. A caller can give only permissions that they hold.',
    }),
  }),
});

function memberPayload(name: string, description: string) {
  return builder.objectRef<{ member: typeof Member.$inferType }>(name).implement({
    description,
    fields: (t) => ({
      member: t.field({ type: Member, description: 'The member after the change.', resolve: ({ member }) => member }),
    }),
  });
}

const RemoveMemberInput = builder.inputType('RemoveMemberInput', {
  description: 'A member to remove.',
  fields: (t) => ({
    memberId: t.id({ required: true, description: 'Id of the member. A member can remove themselves to leave.' }),
  }),
});

const RemoveMemberPayload = builder.objectRef<{ removedMemberId: string }>('RemoveMemberPayload').implement({
  description: 'The removed member.',
  fields: (t) => ({
    removedMemberId: t.exposeID('removedMemberId', { description: 'Id of the removed member.' }),
  }),
});

commandField(inviteMember, {
  description: 'Invites a person to an organization. The invitation is valid for seven days.',
  input: InviteMemberInput,
  inputDescription: 'The person to invite.',
  payload: InviteMemberPayload,
  errors: [ValidationError, NotFoundError, ForbiddenError, ConflictError, LimitReachedError, SecretUnavailableError],
});

commandField(revokeInvitation, {
  description:
    'Revokes an open invitation, whose role is at most the role of the caller. Its token is refused from then on. Revoking it again is not an error.',
  input: RevokeInvitationInput,
  inputDescription: 'The invitation to revoke.',
  payload: RevokeInvitationPayload,
  errors: [NotFoundError, ForbiddenError, ConflictError],
});

commandField(acceptInvitation, {
  description: 'Accepts an invitation. The token can be used once, by a user with the invited e-mail address.',
  input: AcceptInvitationInput,
  inputDescription: 'The invitation to accept.',
  payload: memberPayload('AcceptInvitationPayload', 'The created membership.'),
  errors: [NotFoundError, ConflictError, LimitReachedError],
});

commandField(updateMember, {
  description:
    'Changes the role or the additional permissions of a member. Revokes open invitations of the member that they can no longer send.',
  input: UpdateMemberInput,
  inputDescription: 'The member and the changes.',
  payload: memberPayload('UpdateMemberPayload', 'The changed member.'),
  errors: [ValidationError, NotFoundError, ForbiddenError, ConflictError],
});

commandField(removeMember, {
  description:
    'Removes a member from a workspace, and revokes the open invitations by and to the member. Members can remove themselves; the last owner cannot be removed.',
  input: RemoveMemberInput,
  inputDescription: 'The member to remove.',
  payload: RemoveMemberPayload,
  errors: [NotFoundError, ForbiddenError, ConflictError],
});
