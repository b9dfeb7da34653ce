/** The mutation that Yoga and mercurius answer: it does nothing. */
export const typeDefs = `
  type Query { ok: Boolean! }
  type Mutation { ping(message: String!): Pong! }
  type Pong { message: String! }
`;

export const resolvers = {
  Query: { ok: () => true },
  Mutation: { ping: (_root, { message }) => ({ message }) },
};
