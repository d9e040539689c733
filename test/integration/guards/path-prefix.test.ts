import { describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import { ConfigError, createPolicySource, memoryNonces, memoryStore, serverOnly } from 'portcullis'
import type { AuthorityOption } from '../../../src/http/request/authority.ts'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening } from '../../support/protected-app.ts'

const store = memoryStore([{ policy: { appId: APP, serverOnly: { mode: 'enforce' } }, keys: [KEY] }])
const policies = createPolicySource({ store })
const signer = { keyId: KEY.id, secret: KEY.secret }

interface Sent {
  readonly pathPrefix?: string | undefined
  readonly authority?: AuthorityOption | undefined
  /** The URL or path that the caller signs. */
  readonly signed: string
  /** The path that the proxy forwards. */
  readonly path: string
  readonly mount?: string
  readonly headers?: Record<string, string>
}

function statusOf({ pathPrefix, authority, signed, path, mount = '/', headers = {} }: Sent): Promise<number> {
  const guard = serverOnly({ policies, nonces: memoryNonces(), pathPrefix, authority })
  const app = express().use(mount, guard as RequestHandler, (_req, res) => void res.end())
  return listening(app, async (origin) => {
    const url = signed.startsWith('/') ? `${origin}${signed}` : signed
    const all = await signRequest({ method: 'GET', url, headers: { 'x-app-id': APP } }, signer)
    delete all['host']
    return (await fetch(`${origin}${path}`, { headers: { ...all, ...headers } })).status
  })
}

const gateway = 'https://gateway.example'

describe('pathPrefix', () => {
  it.each<[string, Sent, number]>([
    ['is put ahead of the path that arrives', { pathPrefix: '/api', signed: '/api/me', path: '/me' }, 200],
    [
      'may have several segments',
      { pathPrefix: '/a/b-c', signed: '/a/b-c/me?x=%20', path: '/me?x=%20' },
      200,
    ],
    ['goes with the root', { pathPrefix: '/api', signed: '/api/', path: '/' }, 200],
    [
      'is ahead of what a router takes off',
      { pathPrefix: '/api', mount: '/v1', signed: '/api/v1/x', path: '/v1/x' },
      200,
    ],
    [
      'goes with an authority',
      { pathPrefix: '/api', authority: gateway, signed: `${gateway}/api/me`, path: '/me' },
      200,
    ],
    [
      'goes with a function for the authority',
      { pathPrefix: '/api', authority: () => gateway, signed: `${gateway}/api/me`, path: '/me' },
      200,
    ],
    ['holds for every request', { pathPrefix: '/api', signed: '/me', path: '/me' }, 401],
    [
      'is not taken for what was there already',
      { pathPrefix: '/api', signed: '/api/me', path: '/api/me' },
      401,
    ],
    ['must be the one that was signed', { pathPrefix: '/other', signed: '/api/me', path: '/me' }, 401],
    ['leaves the query alone', { pathPrefix: '/api', signed: '/api/me?a=1', path: '/me?a=2' }, 401],
    ['is none where nothing is said', { signed: '/api/me', path: '/me' }, 401],
    [
      'is never read from a header',
      {
        signed: '/api/me',
        path: '/me',
        headers: { 'x-forwarded-prefix': '/api', 'x-forwarded-path': '/api/me' },
      },
      401,
    ],
    [
      'does not change what an authority refuses',
      { pathPrefix: '/api', authority: [gateway], signed: `${gateway}/api/me`, path: '/me' },
      401,
    ],
  ])('%s', async (_what, sent, status) => {
    expect(await statusOf(sent)).toBe(status)
  })

  it.each([
    '',
    '/',
    'api',
    '/api/',
    '//api',
    '/a//b',
    '/a/../b',
    '/.',
    '/a?b',
    '/a#b',
    '/a b',
    '/ä',
    '/a%',
    '/a%2',
    1,
    null,
  ])('must be a path in plain ASCII, not %j', (pathPrefix) => {
    expect(() => serverOnly({ policies, nonces: memoryNonces(), pathPrefix: pathPrefix as string })).toThrow(
      ConfigError,
    )
  })
})
