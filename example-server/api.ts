import { Router, type Request, type RequestHandler, type Response } from 'express'
import { z } from 'zod'
import {
  auditAccess,
  bodyParsers,
  domainProtect,
  ipWhitelist,
  regionPin,
  returnUrlGuard,
  serverOnly,
  type NonceStore,
  type PolicySource,
} from 'portcullis'
import type { Refusals } from './refusals.ts'
import { networkOf, type Limits } from './limits.ts'
import { ANSWER, SCOPE, TOKEN_LIFETIME, type Connections, type Grant } from './connections.ts'
import type { Field, People, Person } from './people.ts'
import { sendProblem } from './problems.ts'
import type { Ukey1 } from './ukey1.ts'
import type { AuditParts } from './visits.ts'

export interface ApiDependencies {
  readonly policies: PolicySource
  readonly nonces: NonceStore
  readonly audit: AuditParts
  /** Encrypts the recorded input of the guards, so that the console can judge a request again. */
  readonly judgedKey: Uint8Array
  readonly connections: Connections
  readonly people: People
  readonly limits: Limits
  readonly refusals: Refusals
  readonly region: string
  /** The URL that serves the people of a location: that of its instance, or of this one. */
  urlOf(location: string): string
  /** The legacy signature scheme of Ukey1; `undefined` if no app uses it. */
  readonly ukey1: Ukey1 | undefined
  /** The fields that each app may request; `undefined`: every app may request all fields. */
  readonly appFields: ReadonlyMap<string, readonly Field[]> | undefined
  /** Returns the display name of an app. */
  nameOf(appId: string): Promise<string>
  /** Returns the public origin of this server. */
  publicUrl(): string
}

const REQUEST_ID_RULE = 'a string of 1-64 characters'
// It returns in a URL, which cannot contain a lone surrogate.
const REQUEST_ID = z
  .string(REQUEST_ID_RULE)
  .min(1, REQUEST_ID_RULE)
  .max(64, REQUEST_ID_RULE)
  .regex(/^\P{Surrogate}*$/u, REQUEST_ID_RULE)
const UNGUESSABLE = z
  .string('the value that the gateway gave you, unchanged')
  .regex(/^[\w-]{43}$/, 'the value that the gateway gave you, unchanged')

// A message of our own, because that of zod repeats the names that were sent.
const form = <Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> =>
  z.strictObject(shape, { error: `an object with only ${Object.keys(shape).join(', ')}` })

const CHALLENGE_RULE = 'the base64url of SHA-256 of the code_verifier (RFC 7636, S256)'
const VERIFIER_RULE = '43-128 characters of A-Z a-z 0-9 - . _ ~ (RFC 7636)'
const CONNECT = form({
  request_id: REQUEST_ID,
  scope: SCOPE,
  return_url: z.string(),
  code_challenge: z
    .string(CHALLENGE_RULE)
    .regex(/^[\w-]{43}$/, CHALLENGE_RULE)
    .optional(),
  code_challenge_method: z.literal('S256', 'S256').optional(),
})
const TOKEN = form({
  request_id: REQUEST_ID,
  connect_id: UNGUESSABLE,
  auth_code: UNGUESSABLE,
  code_verifier: z
    .string(VERIFIER_RULE)
    .regex(/^[\w.~-]{43,128}$/, VERIFIER_RULE)
    .optional(),
})

/** Creates the routes that apps call: /auth/v2. */
export function createApi(dependencies: ApiDependencies): Router {
  const { connections, people, policies, nonces, audit, judgedKey, region, ukey1, limits } = dependencies
  const shared = { policies, ...dependencies.refusals.told, ...(ukey1 && { appId: ukey1.appId }) }
  const api = Router()

  // Every request is recorded first, so that refusals are recorded too.
  api.use(
    auditAccess({ ...shared, ...audit, judgements: { key: judgedKey } }),
    ...(ukey1 === undefined ? [] : [ukey1.prepare]),
    ...bodyParsers({ limit: 16_384 }),
    ipWhitelist(shared),
    domainProtect(shared),
  )

  const granted = new WeakMap<object, { grant: Grant; person: Person }>()

  const findPerson: RequestHandler = async (req, _res, next) => {
    const token = /^Bearer ([\w.-]{1,100})$/i.exec(req.headers.authorization ?? '')?.[1]
    const grant = token === undefined ? undefined : await connections.findToken(token)
    if (grant !== undefined && grant.appId === req.portcullis.appId) {
      const account = await people.find(grant.personId)
      if (account !== undefined) granted.set(req, { grant, person: account.person })
    }
    next()
  }
  const pinned = regionPin({ ...shared, here: region, personId: (req) => granted.get(req)?.person.id })

  // The region is checked before the signature: the Fetch standard lets clients repeat a request after a 421, and the repetition
  // would be refused because its nonce was used.
  api.get('/me', findPerson, (req, res, next) => (granted.has(req) ? pinned(req, res, next) : next()))
  api.use(serverOnly({ ...shared, nonces, scheme: ukey1?.scheme }))

  const tooMany: RequestHandler = (req, res) => sendProblem(req, res, 'TOO_MANY_REQUESTS')
  const full: RequestHandler = (req, res) => sendProblem(req, res, 'UNAVAILABLE')
  const limitOfApp = limits('signedConnects', { key: (req) => req.portcullis.appId ?? '', refuse: tooMany })
  const limitOfNetwork = limits('connects', { key: networkOf, refuse: tooMany })
  const limitOfAll = limits('allConnects', { key: () => 'all', refuse: full })

  api.post(
    '/connect',
    // An app that signs has its own limit. Requests that only name an app share one limit for each network.
    ((req, res, next) => (isSigned(req) ? limitOfApp : limitOfNetwork)(req, res, next)) as RequestHandler,
    ((req, res, next) => (isSigned(req) ? next() : limitOfAll(req, res, next))) as RequestHandler,
    returnUrlGuard({ ...shared, returnUrl: { body: 'return_url' }, reserved: [ANSWER] }),
    async (req, res) => {
      const body = parseBody(CONNECT, req, res)
      const { appId, returnUrl } = req.portcullis
      if (body === undefined || appId === undefined) return
      // In `report` mode, the guard also lets values pass that are not URLs.
      if (returnUrl === undefined) {
        const message = `a well-formed URL without ${ANSWER} in its query`
        sendProblem(req, res, 'INVALID_REQUEST', [{ path: 'return_url', message }])
        return
      }
      // Anyone who sees the return URL has the code. It is useless without the app's signature or, for apps without a key, PKCE.
      if (body.code_challenge === undefined && !isSigned(req)) {
        sendProblem(req, res, 'INVALID_REQUEST', [{ path: 'code_challenge', message: CHALLENGE_RULE }])
        return
      }
      const allowed = dependencies.appFields && (dependencies.appFields.get(appId) ?? [])
      const refused = body.scope.filter(({ field }) => allowed?.includes(field) === false)
      if (refused.length > 0) {
        const message = `without ${refused.map(({ field }) => field).join(', ')}`
        sendProblem(req, res, 'SCOPE_NOT_ALLOWED', [{ path: 'scope', message }])
        return
      }
      const connection = await connections.begin({
        codeChallenge: body.code_challenge,
        appId,
        appName: await dependencies.nameOf(appId),
        requestId: body.request_id,
        wishes: body.scope,
        returnUrl,
      })
      res.json({
        result: 200,
        connect_id: connection.id,
        gateway: `${dependencies.publicUrl()}/gateway/${connection.id}`,
      })
    },
  )

  api.post('/token', async (req, res) => {
    const body = parseBody(TOKEN, req, res)
    const { appId } = req.portcullis
    if (body === undefined || appId === undefined) return
    const exchanged = await connections.exchangeCode(body.auth_code, {
      appId,
      requestId: body.request_id,
      connectId: body.connect_id,
      codeVerifier: body.code_verifier,
    })
    if (exchanged === undefined) {
      sendProblem(req, res, 'CODE_INVALID')
      return
    }
    res.json({
      result: 200,
      access_token: exchanged.token,
      token_type: 'Bearer',
      expires_in: TOKEN_LIFETIME / 1000,
      // The SDKs of Ukey1 read it.
      ...(ukey1 && { expiration: Math.floor((Date.now() + TOKEN_LIFETIME) / 1000) }),
      scope: exchanged.grant.fields.join(' '),
      me: `${dependencies.urlOf(exchanged.grant.region)}/auth/v2/me`,
    })
  })

  api.get('/me', (req, res) => {
    const found = granted.get(req)
    if (found === undefined) {
      sendProblem(req, res, 'TOKEN_INVALID')
      return
    }
    const { grant, person } = found
    const view = req.portcullis.audit.person(person.id, person, {
      record: 'person',
      purpose: 'granted to the app',
    })
    const user = Object.fromEntries(grant.fields.map((field) => [field, view[field]]))
    res.json({ result: 200, user })
  })

  for (const path of ['/connect', '/token', '/me']) {
    api.all(path, (req, res) => {
      res.set('Allow', path === '/me' ? 'GET, HEAD' : 'POST')
      sendProblem(req, res, 'METHOD_NOT_ALLOWED')
    })
  }
  return api
}

/** Whether the request has a valid signature by a key of the app. */
function isSigned(req: Request): boolean {
  return req.portcullis.decisions.some(
    ({ guard, effect, mode }) => guard === 'serverOnly' && effect === 'allow' && mode === 'enforce',
  )
}

/** The parsed body; `undefined` if it was invalid, and a refusal was sent. */
function parseBody<Schema extends z.ZodType>(
  schema: Schema,
  req: Request,
  res: Response,
): z.output<Schema> | undefined {
  const result = schema.safeParse(req.body)
  if (result.success) return result.data
  const errors = result.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
  sendProblem(req, res, 'INVALID_REQUEST', errors)
  return undefined
}
