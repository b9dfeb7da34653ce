import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { GraphiQLOptions } from 'graphql-yoga';
import { graphiqlPolicy } from './security-headers.js';

/** What a newcomer finds in the playground: one tab for each step. The lines are short, since the editor is half a window and breaks none. */
const tabsFor = (publicUrl: string): NonNullable<GraphiQLOptions['defaultTabs']> => [
  {
    query: `# Welcome to Tollkeeper. Ctrl+Enter runs the operation
# at the cursor; the book on the left explains each field.
#
# Who you are decides what you may do. Sign up once in a
# terminal:
#
#   curl -s ${publicUrl}/api/auth/sign-up/email \\
#     -H 'Content-Type: application/json' \\
#     -d '{ "name": "Ada", "email": "ada@example.com",
#           "password": "correct horse battery" }'
#
# and put the token of the answer into the panel "Headers"
# below; each tab has its own:
#
#   { "Authorization": "Bearer <token>" }
#
# A service token (tks_...) or an API key goes there too.

query WhoAmI {
  viewer {
    kind
    user {
      email
    }
    workspace {
      id
      name
    }
  }
}

# What is sold here. Open to everybody.
query Products {
  products {
    slug
    title
    description
  }
}
`,
  },
  {
    query: `# A workspace owns keys and one pool of credits. You have a
# personal one already; this makes an organization.
mutation CreateWorkspace {
  createWorkspace(input: { name: "Example Ltd" }) {
    __typename
    ... on CreateWorkspacePayload {
      workspace {
        id
        name
      }
    }
    ... on Error {
      code
      message
    }
  }
}
`,
  },
  {
    query: `# A key, in your personal workspace unless you name another.
# Its secret is shown once: copy it.
mutation CreateApiKey {
  createApiKey(input: { name: "My first key" }) {
    __typename
    ... on CreateApiKeyPayload {
      apiKey {
        id
        preview
        environment
        status
      }
      secret
      freeCreditsRemaining
    }
    ... on Error {
      code
      message
    }
  }
}
`,
  },
  {
    query: `# What the product's backend asks for every request that it
# gets. It needs a service token in the panel "Headers":
#
#   { "Authorization": "Bearer tks_..." }
mutation VerifyApiKey {
  verifyApiKey(input: { credential: { bearer: "paste the secret of a key" } }) {
    valid
    code
    rejection {
      status
      code
      message
    }
    workspace {
      id
      name
    }
    rateLimits {
      limit
      windowSeconds
      remaining
    }
  }
}
`,
  },
  {
    query: `# What you have, and every line of how it came to be.
query Credits {
  credits {
    balance
    held
    available
    entries(first: 10) {
      nodes {
        kind
        credits
        balanceAfter
        createdAt
      }
    }
  }
}
`,
  },
];

export function graphiqlOptions(publicUrl: string): GraphiQLOptions {
  return {
    title: 'Tollkeeper',
    defaultTabs: tabsFor(publicUrl),
    defaultEditorToolsVisibility: 'headers',
    // A token in the browser's storage would outlive the tab.
    shouldPersistHeaders: false,
    credentials: 'same-origin',
  };
}

/** Whether a browser asks for a page, and not a client for data. */
export function wantsGraphiql({ method, headers }: Request): boolean {
  return method === 'GET' && (headers.get('accept') ?? '').includes('text/html');
}

/** The page holds no secret, and changes with the server's version only. */
const pageSecondsMax = 300;

/**
 * Makes the function that answers with the playground. The page has everything in it, so that it works without the
 * internet: nine megabytes, put together and compressed when somebody first asks for it.
 */
export function createGraphiql(publicUrl: string): (request: Request) => Promise<Response> {
  let page: Promise<{ plain: Buffer<ArrayBuffer>; zipped: Buffer<ArrayBuffer> }> | null = null;
  return async (request) => {
    page ??= renderPage(publicUrl);
    const { plain, zipped } = await page;
    const takesGzip = (request.headers.get('accept-encoding') ?? '').includes('gzip');
    return new Response(takesGzip ? zipped : plain, {
      headers: {
        'content-type': 'text/html; charset=utf-8',
        ...(takesGzip ? { 'content-encoding': 'gzip' } : {}),
        'content-security-policy': graphiqlPolicy,
        'cache-control': `private, max-age=${pageSecondsMax}`,
        vary: 'accept, accept-encoding',
      },
    });
  };
}

async function renderPage(publicUrl: string) {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const plain = Buffer.from(renderGraphiQL(graphiqlOptions(publicUrl)));
  return { plain, zipped: await promisify(gzip)(plain) };
}
