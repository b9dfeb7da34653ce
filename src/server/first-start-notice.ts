import type { Products } from '../products/product.js';

/** What the first start shows: the service token, this once, where the playground is, and what to try next. */
export function firstStartNotice({
  publicUrl,
  token,
  products,
}: {
  publicUrl: string;
  token: string;
  products: Products;
}): string {
  return `
Tollkeeper serves ${products.all.map(({ title }) => title).join(', ')}.

  Playground     ${publicUrl}/graphql
  Service token  ${token}
                 Shown this once: store it now. Your product's backend verifies keys with it.

Try it:

  curl -s ${publicUrl}/graphql -H 'content-type: application/json' \\
    -H 'authorization: Bearer ${token}' \\
    -d '{"query":"{ viewer { kind } products { slug prices { action credits } } }"}'

`;
}
