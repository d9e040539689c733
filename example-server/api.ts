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
  type AuditSink,
  type NonceStore,
  type PolicySource,
} from 'portcullis'
import { SCOPE, TOKEN_LIFETIME, type Connections, type Grant } from './connections.ts'
import type { People, Person } from './people.ts'
import { sendProblem } from './problems.ts'

export interface ApiDependencies {
  readonly policies: PolicySource
  readonly nonces: NonceStore
  readonly sink: AuditSink
  readonly pseudonymKey: Uint8Array
  readonly connections: Connections
  readonly people: People
  readonly region: string
  /** The name of an app, as people should see it. */
  nameOf(appId: string): Promise<string>
  /** Where people reach this server. */
  publicUrl(): string
}

const REQUEST_ID = z.string().min(1, 'a text of 1-64 characters').max(64, 'a text of 1-64 characters')
const UNGUESSABLE = z.string().regex(/^[\w-]{43}$/, 'as it was handed out')

const CONNECT = z.strictObject({ request_id: REQUEST_ID, scope: SCOPE, return_url: z.string() })
const TOKEN = z.strictObject({ request_id: REQUEST_ID, connect_id: UNGUESSABLE, auth_code: UNGUESSABLE })

/** The routes that apps call: /auth/v2. */
export function createApi(dependencies: ApiDependencies): Router {
  const { connections, people, policies, nonces, sink, pseudonymKey, region } = dependencies
  const shared = { policies }
  const api = Router()

  // Every request is recorded first, so that refusals are recorded too.
  api.use(
    auditAccess({ ...shared, sink, pseudonymKey }),
    ...bodyParsers({ limit: 16_384 }),
    ipWhitelist(shared),
    domainProtect(shared),
    serverOnly({ ...shared, nonces }),
  )

  api.post(
    '/connect',
    returnUrlGuard({
      ...shared,
      returnUrl: (req) => (req.body as { return_url?: unknown } | undefined)?.return_url,
    }),
    async (req, res) => {
      const body = parseBody(CONNECT, req, res)
      const { appId, returnUrl } = req.portcullis
      if (body === undefined || appId === undefined) return
      // Our answer goes into the query under this name; what is there before could pass for it.
      if (returnUrl === undefined || /[?&]_ukey1(?:%5B|\[|=|&|$)/i.test(returnUrl)) {
        sendProblem(req, res, 'INVALID_REQUEST', [
          { path: 'return_url', message: 'an approved URL without _ukey1 in its query' },
        ])
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
      scope: exchanged.grant.fields.join(' '),
    })
  })

  const findPerson: RequestHandler = async (req, res, next) => {
    const token = /^Bearer ([\w-]{43})$/i.exec(req.headers.authorization ?? '')?.[1]
    const grant = token === undefined ? undefined : await connections.findToken(token)
    const person =
      grant?.appId === req.portcullis.appId ? await people.find(grant?.personId ?? '') : undefined
    if (grant === undefined || person === undefined) {
      sendProblem(req, res, 'TOKEN_INVALID')
      return
    }
    signedIn.set(req, { grant, person })
    next()
  }
  const signedIn = new WeakMap<object, { grant: Grant; person: Person }>()
  const pinned = regionPin({ ...shared, here: region, country: (req) => signedIn.get(req)?.person.country })

  api.get('/me', findPerson, pinned, (req, res) => {
    const { grant, person } = signedIn.get(req) as { grant: Grant; person: Person }
    const view = req.portcullis.audit.person(person.id, person, {
      record: 'person',
      purpose: 'granted to the app',
    })
    const shownFields = grant.fields.map((field) => [field, view[field]])
    res.json({ result: 200, user: Object.fromEntries(shownFields) as Record<string, string> })
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
