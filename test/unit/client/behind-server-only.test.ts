import axios from 'axios'
import request from 'supertest'
import { Agent, request as undiciRequest } from 'undici'
import { describe, expect, it } from '@jest/globals'
import { bodyParsers, memoryNonces, serverOnly } from 'portcullis'
import {
  signedAxios,
  signedFetch,
  signRequest,
  superagentSigner,
  undiciSigner,
  type CallerOptions,
} from '../../../src/client/index.ts'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'
import { ED25519 } from './verifying-server.ts'

const BODY = { request_id: '1', name: 'é' }

type Send = (origin: string, options: CallerOptions) => Promise<number>

const CLIENTS: readonly (readonly [name: string, send: Send])[] = [
  [
    'fetch',
    async (origin, options) => {
      const headers = { 'content-type': 'application/json' }
      const init = { method: 'POST', headers, body: JSON.stringify(BODY) }
      return (await signedFetch(options)(`${origin}/connect?a=b c`, init)).status
    },
  ],
  [
    'axios',
    async (origin, options) => {
      const api = signedAxios(axios.create({ baseURL: origin, validateStatus: () => true }), options)
      return (await api.post('/connect', BODY, { params: { a: 'b c' } })).status
    },
  ],
  [
    'undici',
    async (origin, options) => {
      const dispatcher = new Agent().compose(undiciSigner(options))
      const headers = { 'content-type': 'application/json' }
      const query = { a: 'b c' }
      const given = { method: 'POST', headers, body: JSON.stringify(BODY), query, dispatcher } as const
      const { statusCode, body } = await undiciRequest(`${origin}/connect`, given)
      await body.dump()
      await dispatcher.close()
      return statusCode
    },
  ],
  [
    'supertest',
    async (origin, options) => {
      const test = request(origin).post('/connect').query({ a: 'b c' }).use(superagentSigner(options))
      return (await test.send(BODY)).status
    },
  ],
  [
    'anything else, by signRequest',
    async (origin, { appId = '', ...options }) => {
      const url = `${origin}/connect?a=b%20c`
      const body = JSON.stringify(BODY)
      const given = { 'x-app-id': appId, 'content-type': 'application/json' }
      const headers = await signRequest({ method: 'POST', url, headers: given, body }, options)
      return (await fetch(url, { method: 'POST', headers, body })).status
    },
  ],
]

const KEYS: readonly (readonly [algorithm: string, key: CallerOptions])[] = [
  ['hmac-sha256', { keyId: KEY.id, secret: KEY.secret }],
  ['ed25519', { keyId: 'key-2', privateKey: ED25519.pem }],
]

const table = CLIENTS.flatMap(([name, send]) =>
  KEYS.map(([algorithm, key]) => [name, algorithm, send, key] as const),
)

describe('requests to serverOnly in Express', () => {
  it.each(table)(
    '%s passes with a key of %s, and not with another key',
    async (_name, _algorithm, send, key) => {
      const bodies: unknown[] = []
      const policy = { appId: APP, serverOnly: { mode: 'enforce' } } as const
      const { app, store, policies, reached } = protectedApp(
        policy,
        (source) => [...bodyParsers(), serverOnly({ policies: source, nonces: memoryNonces() })],
        (req, res) => {
          bodies.push(req.body)
          res.json({})
        },
      )
      await store.write(
        { policy, keys: [KEY, { id: 'key-2', algorithm: 'ed25519', secret: ED25519.publicKey }] },
        1,
      )
      await listening(app, async (origin) => {
        expect(await send(origin, { ...key, appId: APP })).toBe(200)
        expect(await send(origin, { ...key, appId: APP })).toBe(200)
        const secret = Buffer.alloc(32).toString('base64')
        expect(await send(origin, { keyId: key.keyId, secret, appId: APP })).toBe(401)
      })
      policies.close()
      expect(bodies).toEqual([BODY, BODY])
      expect(reached).toHaveLength(2)
    },
  )
})
