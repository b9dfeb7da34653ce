import type { GraphiQLOptions } from 'graphql-yoga';

/** What a newcomer finds in the playground: one tab for each step from signing in to a charge. */
const tabs: NonNullable<GraphiQLOptions['defaultTabs']> = [
  {
    query: `# Welcome to Tollkeeper. Ctrl+Enter runs the operation at the cursor; the book on the left explains every field.
#
# Who you are decides what you may do. Sign up once in a terminal:
#
#   curl -s http://127.0.0.1:4000/api/auth/sign-up/email -H 'Content-Type: application/json' \\
#     -d '{"name":"Ada","email":"ada@example.com","password":"correct horse battery"}'
#
# and put the token of the answer into the panel "Headers" below:
#
#   { "Authorization": "Bearer <token>" }
#
# A service token (tks_...) or an API key goes into the same place.

query WhoAmI {
  viewer {
    __typename
  }
}

# What is sold here: the form of the keys, limits and prices. Open to everybody.
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
    query: `# A workspace owns keys and one pool of credits. You already have a personal one; this makes an organization.
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
    query: `# A key, in your personal workspace unless you name another. Its secret is shown once: copy it.
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
    query: `# What the product's backend asks for every request it gets. Needs a service token in the panel "Headers":
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

export const graphiqlOptions: GraphiQLOptions = {
  title: 'Tollkeeper',
  defaultTabs: tabs,
  defaultEditorToolsVisibility: 'headers',
  // A token in the browser's storage would outlive the tab.
  shouldPersistHeaders: false,
  credentials: 'same-origin',
};

let page: Promise<string> | null = null;

/** The page with everything in it, so that it works without the internet. Nine megabytes: loaded and put together when first asked for. */
export function renderGraphiql(options: GraphiQLOptions): Promise<string> {
  page ??= import('@graphql-yoga/render-graphiql').then(({ renderGraphiQL }) => renderGraphiQL(options));
  return page;
}
