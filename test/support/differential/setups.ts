import type { IncomingHttpHeaders } from 'node:http'
import {
  appIdFrom,
  auditAccess,
  bodyParsers,
  domainProtect,
  ipWhitelist,
  protect,
  regionPin,
  returnUrlGuard,
  serverOnly,
  UnavailableError,
  type PolicySource,
  type ProtectOptions,
} from 'portcullis'
import type { Places } from './requests.ts'

/** The options of the guards for a part of the requests, which are the same on both sides. */
export interface Setup extends Places {
  readonly name: string
  /** `trust proxy` of Express. */
  readonly trustProxy: unknown
  readonly options: (policies: PolicySource) => Partial<ProtectOptions>
}

interface Asked {
  readonly headers: IncomingHttpHeaders
  readonly body?: unknown
}

const asksFor = (fault: string, { headers }: Asked): boolean => headers['x-test-fault'] === fault

/** An option that fails if the request asks for it. */
function failing<Value>(fault: string, read: (req: Asked) => Value): (req: Asked) => Value {
  return (req) => {
    if (asksFor(fault, req)) throw new Error('as asked for')
    return read(req)
  }
}

const country = failing('country', ({ headers }) => headers['x-test-country'])

/** A source that never answers from memory, so that each chain waits before its first guard. */
function alwaysLoading(policies: PolicySource): PolicySource {
  return {
    ...policies,
    peek: () => undefined,
    load: async (appId) => {
      if (appId === 'broken') throw new UnavailableError('as asked for')
      return policies.load(appId)
    },
    appsByOrigin: (origin) => policies.appsByOrigin(origin),
    knowsOrigins: policies.knowsOrigins,
    noteKeyUse: (appId, keyId) => policies.noteKeyUse?.(appId, keyId),
  }
}

const HEADERS: Places = { appId: 'header', returnUrl: 'query', country: 'header', mountPath: '' }

export const SETUPS: readonly Setup[] = [
  {
    ...HEADERS,
    name: 'as usual: what callers say stands in headers and the query, and nothing pauses',
    trustProxy: false,
    options: () => ({ country }),
  },
  {
    ...HEADERS,
    name: 'below a path, behind a proxy, with options that return promises and a source that always loads',
    mountPath: '/auth',
    appId: 'query',
    trustProxy: 'loopback',
    options: (policies) => ({
      policies: alwaysLoading(policies),
      appId: appIdFrom({ query: 'app', header: 'x-app-id' }),
      country: async (req) => country(req),
      returnUrl: [
        { query: 'return_url', name: 'next', optional: true },
        { body: 'return_url', name: 'next' },
      ],
      relativeTo: 'https://gateway.example',
      reserved: ['code'],
      bases: { frankfurt: 'https://fra.example', dallas: 'https://dal.example' },
      requestId: async ({ headers }) => String(headers['x-request-id']),
      actor: () => 'ada',
    }),
  },
  {
    ...HEADERS,
    name: 'with proxies of its own, a known authority, answers of its own and more that is told',
    trustProxy: true,
    returnUrl: 'body',
    options: () => ({
      country,
      appId: failing('appId', ({ headers }) => headers['x-app-id'] as string | undefined),
      clientAddress: { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'], header: 'x-forwarded-for' },
      authority: ['http://gateway.example', 'https://app.example'],
      returnUrl: { body: 'return_url' },
      handOver: (location) => ({ 'fly-replay': `region=${location}` }),
      explainMismatch: true,
      streamed: true,
      operation: ({ method }) => `a ${method}`,
      onDeny: ({ code }, _req, res, next) => {
        if (code === 'ORIGIN_REQUIRED') next(new Error('an error of onDeny'))
        else if (code === 'REGION_UNKNOWN') next()
        else if (code === 'ADDRESS_NOT_ALLOWED') setImmediate(() => res.writeHead(418).end('tea'))
        else if (code === 'SIGNATURE_REQUIRED') throw new Error('a fault of onDeny')
        else res.writeHead(403, { 'content-type': 'text/plain' }).end(code)
      },
    }),
  },
  {
    ...HEADERS,
    name: 'with the app id and the country in the body',
    appId: 'body',
    country: 'body',
    trustProxy: 1,
    options: () => ({
      appId: appIdFrom({ body: 'client_id', header: 'x-app-id' }),
      country: { body: 'country' },
      clientAddress: failing('address', ({ headers }) => headers['x-forwarded-for'] as string | undefined),
      returnUrl: failing(
        'returnUrl',
        ({ body }) => (body as { return_url?: unknown } | undefined)?.return_url,
      ),
      keyExpiryWarning: 0,
    }),
  },
  {
    ...HEADERS,
    name: 'with the country alone in the body',
    country: 'body',
    returnUrl: 'body',
    mountPath: '/auth',
    trustProxy: false,
    options: () => ({
      country: { body: 'country' },
      returnUrl: [{ body: 'return_url' }, { query: 'return_url', name: 'second', optional: true }],
      bodyLimit: 2_000,
      bodyKeep: ['application/octet-stream'],
      bodyReplay: true,
    }),
  },
]

/** The name of a single mount: a guard or the parsers. */
export type MountName =
  | 'auditAccess'
  | 'regionPin'
  | 'ipWhitelist'
  | 'domainProtect'
  | 'bodyParsers'
  | 'serverOnly'
  | 'returnUrlGuard'

/** The documented order. Guards that need the body come after the parsers. */
export function documentedOrder({ appId, country }: Places): readonly MountName[] {
  const order: MountName[] = [
    'auditAccess',
    'regionPin',
    'ipWhitelist',
    'domainProtect',
    'bodyParsers',
    'serverOnly',
    'returnUrlGuard',
  ]
  const without = (name: MountName): MountName[] => order.filter((other) => other !== name)
  if (country === 'body') order.splice(0, 7, ...without('regionPin').toSpliced(4, 0, 'regionPin'))
  if (appId === 'body') order.splice(0, 7, 'bodyParsers', ...without('bodyParsers'))
  return order
}

/** Single mounts in this order, each with its own options. */
export function singleMounts(options: ProtectOptions, order: readonly MountName[]): readonly unknown[] {
  const { policies, appId, onDecision, onDeny, onReport, logger, requestId, optionTimeout } = options
  const shared = { policies, appId, onDecision, onDeny, onReport, logger, requestId, optionTimeout }
  const { sink, pseudonymKey, actor, operation, onError, clientAddress } = options
  const { here, country, jurisdictions, bases, handOver } = options
  const {
    authority,
    nonces,
    pathPrefix,
    streamed,
    explainMismatch,
    scheme,
    nonceTimeout,
    keyExpiryWarning,
    now,
  } = options
  const { returnUrl, relativeTo, reserved, bodyLimit, bodyKeep, bodyReplay, rawBody } = options
  const make: Readonly<Record<MountName, () => unknown>> = {
    auditAccess: () =>
      auditAccess({ ...shared, sink, pseudonymKey, actor, operation, onError, clientAddress }),
    regionPin: () => regionPin({ ...shared, here, country, jurisdictions, bases, handOver }),
    ipWhitelist: () => ipWhitelist({ ...shared, clientAddress }),
    domainProtect: () => domainProtect({ ...shared, authority }),
    bodyParsers: () => bodyParsers({ limit: bodyLimit, keep: bodyKeep, replay: bodyReplay, rawBody }),
    serverOnly: () =>
      serverOnly({
        ...shared,
        nonces,
        authority,
        pathPrefix,
        streamed,
        explainMismatch,
        scheme,
        nonceTimeout,
        keyExpiryWarning,
        now,
      }),
    returnUrlGuard: () => returnUrlGuard({ ...shared, returnUrl, relativeTo, reserved }),
  }
  return order.map((name) => make[name]())
}

/** All six as one handler. */
export function protectedBy(options: ProtectOptions): readonly unknown[] {
  return [protect(options)]
}
