import type { Products } from '../products/product.js';

/** Output of the first start: the service token, the address of the API, and a first request. */
export function firstStartNotice({
  publicUrl,
  token,
  products,
  servesPlayground,
}: {
  publicUrl: string;
  token: string;
  products: Products;
  servesPlayground: boolean;
}): string {
  return `
Tollkeeper serves ${products.all.map(({ title }) => title).join(', ')}.

  ${servesPlayground ? 'Playground ' : 'GraphQL    '}    ${publicUrl}/graphql
  Service token  ${token}
                 Shown only once: store it now. Your backend verifies keys with it.

Try it:

  curl -s ${publicUrl}/graphql -H 'content-type: application/json' \\
    -H 'authorization: Bearer ${token}' \\
    -d '{"query":"{ viewer { kind } products { slug prices { action credits } } }"}'

`;
}
