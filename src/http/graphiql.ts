import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { GraphiQLOptions } from 'graphql-yoga';
import type { Answer } from './answer.js';
import { type RequestScope, readHeader } from './request-scope.js';
import { graphiqlPolicy } from './security-headers.js';

/**
 * The tabs of the playground, one for each first step. Lines are short because the editor is half a window
 * wide and does not wrap.
 */
const tabsFor = (publicUrl: string): NonNullable<GraphiQLOptions['defaultTabs']> => [
  {
    query: `# Welcome to Tollkeeper. Ctrl+Enter runs the operation
# at the cursor; the book on the left explains each field.
#
# Your credential decides what you may do. Sign up once in
# a terminal:
#
#   curl -s ${publicUrl}/api/auth/sign-up/email \\
#     -H 'Content-Type: application/json' \\
#     -d '{ "name": "Ada", "email": "ada@example.com",
#           "password": "correct horse battery" }'
#
# and put the token of the response into the panel "Headers"
# below. Each tab has its own:
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

# The products of this server. Public.
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
    query: `# A key, in your personal workspace by default.
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
    query: `# What the product's backend sends for every request of a
# customer. It needs a service token in the panel "Headers":
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
    query: `# Your credits, with their ledger entries.
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

/** Whether a browser requests a page rather than data. */
export function wantsGraphiql({ method, headers }: Pick<IncomingMessage, 'method' | 'headers'>): boolean {
  return method === 'GET' && (headers.accept ?? '').includes('text/html');
}

/** The page contains no secret, and changes only with the server's version. */
const pageSecondsMax = 300;

/**
 * Creates the route of the playground. The page contains all its scripts, so that it works without the
 * internet: nine megabytes, rendered and compressed at the first request.
 */
export function createGraphiql(publicUrl: string): (scope: RequestScope) => Promise<Answer> {
  let page: Promise<{ plain: Buffer; zipped: Buffer }> | null = null;
  return async ({ request }) => {
    page ??= renderPage(publicUrl);
    const { plain, zipped } = await page;
    const takesGzip = (readHeader(request, 'accept-encoding') ?? '').includes('gzip');
    const encoding = takesGzip ? ['content-encoding', 'gzip'] : [];
    return {
      status: 200,
      headers: [
        ...['content-type', 'text/html; charset=utf-8', ...encoding],
        ...['content-security-policy', graphiqlPolicy],
        ...['cache-control', `private, max-age=${pageSecondsMax}`],
        ...['vary', 'accept, accept-encoding'],
      ],
      body: takesGzip ? zipped : plain,
    };
  };
}

async function renderPage(publicUrl: string) {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const plain = Buffer.from(renderGraphiQL(graphiqlOptions(publicUrl)));
  return { plain, zipped: await promisify(gzip)(plain) };
}
