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
import type { AuditSink } from 'portcullis/audit'
import { ANSWER, SCOPE, TOKEN_LIFETIME, type Connections, type Grant } from './connections.ts'
import type { People, Person } from './people.ts'
import { sendProblem } from './problems.ts'
import type { Ukey1 } from './ukey1.ts'

export interface ApiDependencies {
  readonly policies: PolicySource
  readonly nonces: NonceStore
  readonly sink: AuditSink
  readonly pseudonymKey: Uint8Array
  readonly connections: Connections
  readonly people: People
  readonly region: string
  /** Legacy; `undefined` where no app has it. */
  readonly ukey1: Ukey1 | undefined
  /** The name of an app, as people should see it. */
  nameOf(appId: string): Promise<string>
  /** Where people reach this server. */
  publicUrl(): string
}

const REQUEST_ID_RULE = 'a text of 1-64 characters'
// It comes back in a URL, which cannot hold half a character.
const REQUEST_ID = z
  .string(REQUEST_ID_RULE)
  .min(1, REQUEST_ID_RULE)
  .max(64, REQUEST_ID_RULE)
  .regex(/^\P{Surrogate}*$/u, REQUEST_ID_RULE)
const UNGUESSABLE = z.string('as it was handed out').regex(/^[\w-]{43}$/, 'as it was handed out')

// The message is ours, for that of zod repeats the names that were sent.
const form = <Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> =>
  z.strictObject(shape, { error: `an object with ${Object.keys(shape).join(', ')} and nothing else` })

const CONNECT = form({ request_id: REQUEST_ID, scope: SCOPE, return_url: z.string() })
const TOKEN = form({ request_id: REQUEST_ID, connect_id: UNGUESSABLE, auth_code: UNGUESSABLE })

/** The routes that apps call: /auth/v2. */
export function createApi(dependencies: ApiDependencies): Router {
  const { connections, people, policies, nonces, sink, pseudonymKey, region, ukey1 } = dependencies
  const shared = { policies, ...(ukey1 && { appId: ukey1.appId }) }
  const api = Router()

  // Every request is recorded first, so that refusals are recorded too.
  api.use(
    auditAccess({ ...shared, sink, pseudonymKey }),
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
      const person = await people.find(grant.personId)
      if (person !== undefined) granted.set(req, { grant, person })
    }
    next()
  }
  const pinned = regionPin({ ...shared, here: region, country: (req) => granted.get(req)?.person.country })

  // The region is asked before the signature: the Fetch standard has clients repeat a request that was answered 421, and
  // the repetition would be refused for its nonce.
  api.get('/me', findPerson, (req, res, next) => (granted.has(req) ? pinned(req, res, next) : next()))
  api.use(serverOnly({ ...shared, nonces, scheme: ukey1?.scheme }))

  api.post(
    '/connect',
    returnUrlGuard({ ...shared, returnUrl: { body: 'return_url' }, reserved: [ANSWER] }),
    async (req, res) => {
      const body = parseBody(CONNECT, req, res)
      const { appId, returnUrl } = req.portcullis
      if (body === undefined || appId === undefined) return
      // Where the policy only reports, what is no URL comes as far as this.
      if (returnUrl === undefined) {
        const message = `a well-formed URL without ${ANSWER} in its query`
        sendProblem(req, res, 'INVALID_REQUEST', [{ path: 'return_url', message }])
        return
      }
      const connection = await connections.begin({
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
      // The SDKs of Ukey1 look for it.
      ...(ukey1 && { expiration: Math.floor((Date.now() + TOKEN_LIFETIME) / 1000) }),
      scope: exchanged.grant.fields.join(' '),
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

/** The body, or `undefined` when it was refused and answered. */
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
