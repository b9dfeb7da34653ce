import { errorTypeMap } from '@pothos/plugin-errors';
import { defaultFieldResolver, type GraphQLSchema } from 'graphql';
import type { RefusedAttempt } from '../domain/audit/refusals.js';
import { ForbiddenError, NotFoundError } from '../errors.js';
import type { Context } from './context.js';

/** They name no record by its id, and a product's servers call them for every request that they get. */
const unnoted = new Set(['verifyApiKey', 'verifyApiKeys']);

/**
 * Has every mutation noted that is refused to somebody who is known: by its declared permission, or by the domain. It stands outside
 * the plugins that decide about both, so no mutation can forget it.
 */
export function noteRefusals(schema: GraphQLSchema): GraphQLSchema {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    if (unnoted.has(field.name)) continue;
    const resolve = field.resolve ?? defaultFieldResolver;
    const action = actionOf(field.name);
    field.resolve = async (root, args: Record<string, unknown>, context: Context, info) => {
      try {
        const result: unknown = await resolve(root, args, context, info);
        note(context, action, args, findRefusal(result));
        return result;
      } catch (error) {
        note(context, action, args, error instanceof ForbiddenError ? 'FORBIDDEN' : null);
        throw error;
      }
    };
  }
  return schema;
}

function note(
  { actor, deps }: Context,
  action: string,
  args: Record<string, unknown>,
  code: RefusedAttempt['code'] | null,
): void {
  if (code === null || actor.principal.kind === 'anonymous') return;
  deps.refusals.note(actor, { action, ids: findIds(args.input), code });
}

/** The errors plugin gives out a proxy of the error, and remembers of which class it is. */
function findRefusal(result: unknown): RefusedAttempt['code'] | null {
  const type = typeof result === 'object' && result !== null ? errorTypeMap.get(result) : undefined;
  if (type === ForbiddenError) return 'FORBIDDEN';
  return type === NotFoundError ? 'NOT_FOUND' : null;
}

/** What an input names by id, the workspace last: it says least. */
function findIds(input: unknown): string[] {
  if (typeof input !== 'object' || input === null) return [];
  const ids = Object.entries(input).filter(
    (entry): entry is [string, string] => entry[0].endsWith('Id') && typeof entry[1] === 'string',
  );
  return ids
    .toSorted(([one], [other]) => Number(one === 'workspaceId') - Number(other === 'workspaceId'))
    .map(([, id]) => id);
}

/** `revokeApiKey` is `apiKey.revoke`. */
function actionOf(mutation: string): string {
  const [, verb = mutation, subject = ''] = /^([a-z]+)(.*)$/.exec(mutation) ?? [];
  return `${subject.charAt(0).toLowerCase()}${subject.slice(1)}.${verb}`;
}
