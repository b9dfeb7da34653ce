import { ValidationError } from '../domain/errors.js';

/** The most items of one page. */
export const pageSizeMax = 100;
const pageSizeDefault = 20;
const cursorLengthMax = 200;

interface PageArgs {
  readonly first?: number | null | undefined;
  readonly last?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly before?: string | null | undefined;
}

/** Refuses a page that is out of bounds, rather than giving another one than was asked for. @throws ValidationError */
export function requirePage(args: PageArgs): void {
  for (const name of ['first', 'last'] as const) {
    const size = args[name];
    if (size != null && (size < 1 || size > pageSizeMax)) {
      throw new ValidationError(name, `A page has 1 to ${pageSizeMax} items.`);
    }
  }
  if (args.first != null && args.last != null) throw new ValidationError('last', 'Give first or last, not both.');
  for (const name of ['after', 'before'] as const) {
    if ((args[name]?.length ?? 0) > cursorLengthMax) throw new ValidationError(name, 'This is not a cursor.');
  }
}

/** The limits of a connection, for the prisma plugin and for Relay's resolvers alike. */
export const pageSizes = {
  maxSize: (args: PageArgs) => {
    requirePage(args);
    return pageSizeMax;
  },
  defaultSize: pageSizeDefault,
};

/** A list counts tenfold by itself; a page counts as often as it has items. */
export function pageComplexity({ first, last }: PageArgs): { field: number; multiplier: number } {
  return { field: 1, multiplier: Math.max(0.1, (first ?? last ?? pageSizeDefault) / 10) };
}
