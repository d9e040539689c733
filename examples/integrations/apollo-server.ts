// Apollo Server 5 on Express, for servers that sign their requests. `bodyParsers()` puts the parsed JSON in `req.body`, where Apollo
// expects it. Resolvers find the calling app in their context. Callers sign with the secret in APP_SECRET.
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { ApolloServer } from '@apollo/server'
import { expressMiddleware } from '@as-integrations/express5'
import express from 'express'
import {
  auditAccess,
  bodyParsers,
  createPolicySource,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  serverOnly,
  type PolicyInput,
} from 'portcullis'

const policy: PolicyInput = {
  appId: 'example-shop',
  serverOnly: { mode: 'enforce' },
  auditAccess: { mode: 'enforce' },
}
const secret = process.env['APP_SECRET'] ?? randomBytes(32).toString('base64')
const store = memoryStore([{ policy, keys: [{ id: 'key-1', algorithm: 'hmac-sha256', secret }] }])
const policies = createPolicySource({ store })

interface Context {
  readonly app: string | undefined
}
const apollo = new ApolloServer<Context>({
  typeDefs: 'type Query { app: String, double(of: Int!): Int }',
  resolvers: {
    Query: {
      app: (_parent: unknown, _given: unknown, { app }: Context) => app,
      double: (_parent: unknown, { of }: { of: number }) => of * 2,
    },
  },
})
await apollo.start()

/** The caller chooses the name of a GraphQL operation, so only known names are recorded in the audit. */
const OPERATIONS: ReadonlySet<unknown> = new Set(['WhichApp', 'Double'])

const app = express()
app.use(
  '/graphql',
  auditAccess({
    policies,
    sink: memoryAuditSink(),
    operation: ({ body }) => {
      const { operationName } = (body ?? {}) as { operationName?: unknown }
      return `POST /graphql ${OPERATIONS.has(operationName) ? String(operationName) : ''}`.trim()
    },
  }),
  bodyParsers(),
  serverOnly({ policies, nonces: memoryNonces() }),
  expressMiddleware(apollo, { context: async ({ req }) => ({ app: req.portcullis.appId }) }),
)
const server = app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
