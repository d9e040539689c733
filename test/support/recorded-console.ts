import express from 'express'
import {
  auditAccess,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryNonces,
  memoryStore,
  serverOnly,
  type ManagedPolicyStore,
} from 'portcullis'
import { auditLog, createAuditReader, memoryFrames, recentLogEvents } from 'portcullis/audit'
import { signedFetch } from 'portcullis/client'
import { APP, SECRET, startConsole, type ConsoleServer } from './console.ts'

/** The secret of the key `new`; the key `old` has `SECRET`. */
export const OTHER_SECRET = Buffer.alloc(32, 8).toString('base64')
const judgedKey = new Uint8Array(32).fill(5)
const pseudonymKey = new Uint8Array(32).fill(6)

export interface RecordedConsole {
  readonly server: ConsoleServer
  readonly store: ManagedPolicyStore
  /** The base URL of the guarded routes: `/people/:id` for servers, `/page` for browsers. */
  readonly base: string
  /** Calls a route, signed with a key of the app. */
  call(keyId: 'old' | 'new', path: string, secret?: string): Promise<Response>
  close(): Promise<void>
}

/** A console with all features: rotating keys, an audit to rejudge, reports about people, regions. */
export async function startRecordedConsole(): Promise<RecordedConsole> {
  const frames = memoryFrames()
  const log = auditLog({ store: frames })
  const store = memoryStore([
    {
      policy: { ...APP, ipWhitelist: { mode: 'report', ranges: ['10.0.0.0/8'] } },
      keys: [
        { id: 'old', algorithm: 'hmac-sha256', secret: SECRET },
        { id: 'new', algorithm: 'hmac-sha256', secret: OTHER_SECRET },
      ],
    },
  ])
  const policies = createPolicySource({ store })
  const app = express()
  const shared = { policies, appId: () => 'shop', logger: { warn: () => undefined } } as const
  const audit = auditAccess({ ...shared, sink: log, pseudonymKey, judgements: { key: judgedKey } })
  app.get(
    '/people/:id',
    audit,
    ipWhitelist(shared),
    serverOnly({ ...shared, nonces: memoryNonces() }),
    (req, res) => {
      const person = req.portcullis.audit.person('person-7', { email: 'ada@people.example' })
      res.json({ email: person.email, id: req.params['id'] })
    },
  )
  app.get('/page', audit, domainProtect(shared), (_req, res) => res.end('in'))
  const server = await startConsole({
    app,
    store,
    judgedKey,
    recentEvents: recentLogEvents(frames),
    accessReport: (person, { purpose, actor }) =>
      createAuditReader({ store: frames, sink: log, actor, pseudonymKey }).subject(person, { purpose }),
    regions: () => [
      { jurisdiction: 'europe', location: 'london', condition: 'current' },
      { jurisdiction: 'europe', location: 'frankfurt', condition: 'behind' },
      { jurisdiction: 'world', location: 'dallas', condition: 'away' },
    ],
  })
  const base = new URL(server.url).origin
  return {
    server,
    store,
    base,
    call: (keyId, path, secret = keyId === 'old' ? SECRET : OTHER_SECRET) =>
      signedFetch({ keyId, secret, appId: 'shop' })(`${base}${path}`),
    async close() {
      policies.close()
      await server.close()
      await log.close()
    },
  }
}
