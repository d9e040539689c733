/** The measured variants: the middleware in front of the common handler, and the expected answer. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Express, RequestHandler } from 'express'
import type * as Portcullis from 'portcullis'
import type { ProtectOptions, RequestHandler as Guard } from 'portcullis'
import type { AuditEvent, AuditLog, AuditLogOptions } from 'portcullis/audit'
import type { serialiseEvent } from 'portcullis/audit'
import { least, leastRefusal } from './least.ts'
import { addresses, glued, helmet, logger, pages } from './peers.ts'
import { ANSWER, FOREIGN_RANGES, RANGES, storedApp, type Kind } from './traffic.ts'

/** What a server can use. */
export interface Tools {
  /** The built package. */
  readonly portcullis: typeof Portcullis
  readonly serialise: typeof serialiseEvent
  readonly redisUrl: string
  log(options: Pick<AuditLogOptions, 'mode' | 'spool'>): Promise<AuditLog>
}

export interface Expected {
  readonly status: number
  /** A text that the body of a refusal contains. Without it, the body must be the handler's. */
  readonly text?: string
}

export interface Variant {
  readonly name: string
  readonly kind: Kind
  readonly expects: Expected
  /** Middleware in front of the handler. */
  mount?(tools: Tools): unknown
  /** Creates a server with guards in front of Express, instead of middleware. */
  serve?(app: Express, tools: Tools): Server
  readonly needs?: 'protectServer'
}

const PASSES: Expected = { status: 200 }

/** The options of all six guards. The sink serialises each event, like a sink that sends them somewhere. */
function options({ portcullis, serialise }: Tools, ranges: readonly string[] = RANGES): ProtectOptions {
  const { createPolicySource, memoryNonces, memoryStore } = portcullis
  const write = (events: readonly AuditEvent[]): void => {
    for (const event of events) Buffer.from(serialise(event))
  }
  return {
    policies: createPolicySource({ store: memoryStore([storedApp(ranges)]) }),
    sink: { write },
    nonces: memoryNonces(),
    here: 'london',
    country: () => 'DE',
    returnUrl: { query: 'return_url' },
  }
}

/** The six guards mounted individually, in the order of `protect()`. */
export function guards(tools: Tools): Readonly<Record<GuardName, Guard>> {
  const { portcullis } = tools
  const all = options(tools)
  const { policies, sink, here, country, nonces, returnUrl } = all
  return {
    auditAccess: portcullis.auditAccess({ policies, sink }),
    regionPin: portcullis.regionPin({ policies, here, country }),
    ipWhitelist: portcullis.ipWhitelist({ policies }),
    domainProtect: portcullis.domainProtect({ policies }),
    serverOnly: portcullis.serverOnly({ policies, nonces }),
    returnUrlGuard: portcullis.returnUrlGuard({ policies, returnUrl }),
  }
}

export type GuardName = Portcullis.GuardName
export const UNSIGNED: readonly GuardName[] = ['regionPin', 'ipWhitelist', 'domainProtect', 'returnUrlGuard']
const ALL: readonly GuardName[] = ['auditAccess', ...UNSIGNED.slice(0, 3), 'serverOnly', 'returnUrlGuard']

export function some(tools: Tools, names: readonly GuardName[]): RequestHandler[] {
  const all = guards(tools)
  return names.map((name) => all[name] as RequestHandler)
}

export const protect = (tools: Tools, ranges?: readonly string[]): unknown =>
  tools.portcullis.protect(options(tools, ranges))

/** Looks up `protectServer`, which an older build may lack. */
type ProtectServer = (app: Express, options: ProtectOptions) => RequestListener

export function findProtectServer(portcullis: object): ProtectServer | undefined {
  const found: unknown = Reflect.get(portcullis, 'protectServer')
  return typeof found === 'function' ? (found as ProtectServer) : undefined
}

function inFront(app: Express, tools: Tools, ranges?: readonly string[]): Server {
  const protectServer = findProtectServer(tools.portcullis)
  if (protectServer === undefined) throw new Error('the build has no `protectServer`')
  return createServer(protectServer(app, options(tools, ranges)))
}

const refusal = (status: number, code: string): Expected => ({ status, text: `"code":"${code}"` })
const BY_GLUE: Expected = { status: 403, text: '{"error":"address"}' }

const UNSIGNED_REFUSAL = refusal(401, 'SIGNATURE_REQUIRED')

const refusals: readonly (readonly [
  what: string,
  kind: Kind,
  expects: Expected,
  ranges?: readonly string[],
])[] = [
  ['unsigned', 'unsigned', UNSIGNED_REFUSAL],
  ['wrong address', 'signed', refusal(403, 'ADDRESS_NOT_ALLOWED'), FOREIGN_RANGES],
  ['wrong origin', 'foreignOrigin', refusal(403, 'ORIGIN_NOT_ALLOWED')],
  ['wrong return URL', 'foreignReturnUrl', refusal(400, 'RETURN_URL_NOT_ALLOWED')],
  ['unknown app', 'unknownApp', refusal(401, 'SIGNATURE_INVALID')],
]

/** What a signed and audited answer needs at least, without the guards. */
export const LEAST = 'the least for six'

/** Bare Express, with which each variant is compared. */
export const BASE = 'bare Express'

export const variants: readonly Variant[] = [
  { name: 'protect()', kind: 'signed', expects: PASSES, mount: protect },
  { name: 'protect(), POST with JSON', kind: 'signedPost', expects: PASSES, mount: protect },
  { name: 'six mounts', kind: 'signed', expects: PASSES, mount: sixMounts },
  {
    name: 'five, unsigned',
    kind: 'page',
    expects: PASSES,
    mount: (tools) => some(tools, ['auditAccess', ...UNSIGNED]),
  },
  {
    name: 'four, unsigned, no audit',
    kind: 'page',
    expects: PASSES,
    mount: (tools) => some(tools, UNSIGNED),
  },
  ...ALL.map((name): Variant => {
    const kind = name === 'serverOnly' ? 'signed' : 'page'
    return { name: `${name} alone`, kind, expects: PASSES, mount: (tools) => some(tools, [name]) }
  }),
  {
    name: 'protectServer()',
    kind: 'signed',
    expects: PASSES,
    needs: 'protectServer',
    serve: (app, tools) => inFront(app, tools),
  },
  // The cost without Express, which is the minimum for a refusal before it.
  { name: 'bare node:http', kind: 'signed', expects: PASSES, serve: () => createServer(answer) },
  // The cost of any middleware: one more layer of the router, and one that also sets a property on the request.
  { name: 'empty middleware', kind: 'signed', expects: PASSES, mount: () => pass },
  { name: 'a property on `req`', kind: 'signed', expects: PASSES, mount: () => mark },
  { name: LEAST, kind: 'signed', expects: PASSES, mount: least },
  { name: 'the least refusal', kind: 'unsigned', expects: UNSIGNED_REFUSAL, mount: () => leastRefusal },
  {
    name: 'the least refusal in front',
    kind: 'unsigned',
    expects: UNSIGNED_REFUSAL,
    serve: () => createServer(leastRefusal),
  },
  { name: 'helmet', kind: 'page', expects: PASSES, mount: () => helmet() },
  { name: 'cors', kind: 'page', expects: PASSES, mount: pages },
  { name: 'express-ipfilter', kind: 'page', expects: PASSES, mount: () => addresses() },
  { name: 'pino-http', kind: 'page', expects: PASSES, mount: logger },
  { name: 'glued stack', kind: 'signedByHand', expects: PASSES, mount: () => glued() },
  {
    name: 'glued stack, Redis',
    kind: 'signedByHand',
    expects: PASSES,
    mount: ({ redisUrl }) => glued({ redisUrl }),
  },
  {
    name: 'glued stack, Redis, pino-http',
    kind: 'signedByHand',
    expects: PASSES,
    mount: async ({ redisUrl }) => [logger(), ...(await glued({ redisUrl }))],
  },
  ...refusals.map(([what, kind, expects, ranges]): Variant => {
    return { name: `refusal: ${what}`, kind, expects, mount: (tools) => protect(tools, ranges) }
  }),
  ...refusals.map(([what, kind, expects, ranges]): Variant => ({
    name: `refusal in front: ${what}`,
    kind,
    expects,
    needs: 'protectServer',
    serve: (app, tools) => inFront(app, tools, ranges),
  })),
  {
    name: 'refusal: glued stack, Redis',
    kind: 'signedByHand',
    expects: BY_GLUE,
    mount: ({ redisUrl }) => glued({ redisUrl, refuses: true }),
  },
]

/** Variants in which the gate holds each response until its events are stored. `npm run bench:gate` measures them. */
export const gateVariants: readonly Variant[] = [
  {
    name: 'a sink that accepts events immediately',
    kind: 'page',
    expects: PASSES,
    mount: (tools) => some(tools, ['auditAccess']),
  },
  logged('spool'),
  logged('redis'),
  logged('both'),
  logged('fsync'),
]

function logged(mode: NonNullable<AuditLogOptions['mode']>): Variant {
  return {
    name: `audit log, mode ${mode}`,
    kind: 'page',
    expects: PASSES,
    async mount(tools) {
      const { policies } = options(tools)
      const spool = { directory: mkdtempSync(join(tmpdir(), 'bench-spool-')) }
      process.on('exit', () => rmSync(spool.directory, { recursive: true, force: true }))
      const sink = await tools.log(mode === 'redis' ? { mode } : { mode, spool })
      // The warm-up sends more events than a slow disk can store within the default time.
      return tools.portcullis.auditAccess({ policies, sink, sinkTimeout: 10_000 })
    },
  }
}

const answer: RequestListener = (_req, res) => {
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.end(JSON.stringify(ANSWER))
}

const pass: RequestHandler = (_req, _res, next) => next()

const mark: RequestHandler = (req, _res, next) => {
  Object.assign(req, { portcullis: MARK })
  next()
}
const MARK = {}

function sixMounts(tools: Tools): unknown {
  const all = guards(tools)
  const [audit, region, address, domain, server, returnUrl] = ALL.map((name) => all[name])
  return [audit, region, address, domain, ...tools.portcullis.bodyParsers(), server, returnUrl]
}
