import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express, { Router, type RequestHandler } from 'express'
import {
  appIdFrom,
  auditAccess,
  bodyParsers,
  createPolicySource,
  domainProtect,
  fileStore,
  ipWhitelist,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  protect,
  regionPin,
  returnUrlGuard,
  serverOnly,
  type PolicySource,
  type SharedOptions,
  type InitialApp,
  type PolicyInput,
} from 'portcullis'
import { createVault } from 'portcullis/vault'
import type { PolicyStore } from 'portcullis/store'
import { signRequest, type RequestToSign } from 'portcullis/client'
import { APP, KEY, listening } from './protected-app.ts'
import { exchange } from './raw-exchange.ts'

/** Wrong mounts and calls, with the line that a developer sees for each. */

type Headers = Record<string, string>
export type Given = Pick<SharedOptions, 'policies' | 'logger'>

export interface Mistake {
  readonly name: string
  /** Sections of the policy. Sections without a mode enforce. */
  readonly policy?: Partial<PolicyInput>
  /** A store to use instead of one with the app. */
  readonly store?: PolicyStore
  readonly mounts: (given: Given) => readonly unknown[]
  /** Sends one or more requests. */
  readonly ask?: (origin: string) => Promise<unknown>
  /** The contents of the last line. `none`: the request passes without a line. */
  readonly line: readonly (string | RegExp)[] | 'none'
}

export const get =
  (path = '/', headers: Headers = {}) =>
  (origin: string): Promise<unknown> =>
    fetch(origin + path, { headers: { 'x-app-id': APP, ...headers } })

const post =
  (path: string, body: string, headers: Headers = {}) =>
  (origin: string): Promise<unknown> =>
    fetch(origin + path, { method: 'POST', body, headers: { 'x-app-id': APP, ...headers } })

interface Signing {
  readonly keyId?: string
  readonly secret?: string
  readonly at?: number
  /** The origin to sign instead of the called one. */
  readonly signedOrigin?: string
  readonly signedPath?: string
  readonly sentMethod?: string
  readonly nonce?: string
  /** Headers to remove after signing. */
  readonly without?: readonly string[]
  readonly headers?: Headers
  /** Headers to add after signing. */
  readonly added?: Headers
  readonly body?: string
}

const signed =
  (path: string, how: Signing = {}) =>
  async (origin: string): Promise<unknown> => {
    const { body, without = [], added = {}, nonce } = how
    const request: RequestToSign = {
      method: body === undefined ? 'GET' : 'POST',
      url: (how.signedOrigin ?? origin) + (how.signedPath ?? path),
      headers: { 'x-app-id': APP, ...how.headers },
      body,
    }
    const headers = await signRequest(request, {
      keyId: how.keyId ?? KEY.id,
      secret: how.secret ?? KEY.secret,
      ...(how.at !== undefined && { now: () => how.at as number }),
      ...(nonce !== undefined && { nonce: () => nonce }),
    })
    const sent: Headers = { ...(headers as Headers), ...added }
    for (const name of without) delete sent[name]
    return fetch(origin + path, {
      method: how.sentMethod ?? request.method,
      headers: sent,
      ...(body !== undefined && { body }),
    })
  }

const ENFORCE = { mode: 'enforce' } as const
export const ranges = (...entries: string[]): Partial<PolicyInput> => ({
  ipWhitelist: { ...ENFORCE, ranges: entries },
})
export const domains = (...entries: string[]): Partial<PolicyInput> => ({
  domainProtect: { ...ENFORCE, domains: entries },
})
export const urls = (
  ...entries: NonNullable<PolicyInput['returnUrlGuard']>['urls'] & object
): Partial<PolicyInput> => ({ returnUrlGuard: { ...ENFORCE, urls: entries } })
const SIGNED = { serverOnly: ENFORCE }
const JSON_TYPE = { 'content-type': 'application/json' }

const behindProxies: Mistake['mounts'] = (given) => [
  ipWhitelist({ ...given, clientAddress: { trustedProxies: ['loopback'], header: 'x-forwarded-for' } }),
]
export const addresses = (given: Given): unknown[] => [ipWhitelist(given)]
const origins = (given: Given): unknown[] => [domainProtect(given)]
const returns = (given: Given): unknown[] => [
  returnUrlGuard({ ...given, returnUrl: { query: 'return_url' } }),
]
const server = (given: Given): RequestHandler =>
  serverOnly({ ...given, nonces: memoryNonces() }) as RequestHandler
const servers = (given: Given): unknown[] => [...bodyParsers(), server(given)]
const protectedBy = (given: Given): unknown[] => [
  protect({
    ...given,
    nonces: memoryNonces(),
    sink: memoryAuditSink(),
    here: 'london',
    country: () => 'GB',
    returnUrl: { query: 'return_url' },
  }),
]
const region =
  (country: () => unknown) =>
  (given: Given): unknown[] => [regionPin({ ...given, here: 'london', country })]

export const OPEN = ranges('0.0.0.0/0', '::/0')
const down: PolicyStore = {
  read: () => Promise.reject(new Error('connect ECONNREFUSED 127.0.0.1:6379')),
  watch: () => () => undefined,
}
/** A store on disk, sealed with another key than the one that reads it, or read without a vault. */
function sealedStore(key: Uint8Array | undefined): PolicyStore {
  return {
    async read(appId) {
      const directory = mkdtempSync(join(tmpdir(), 'portcullis-sealed-'))
      const path = join(directory, 'policies.json')
      const open = (bytes: Uint8Array | undefined) =>
        fileStore(path, {
          create: true,
          ...(bytes && { vault: createVault({ keys: [{ id: 'default', key: bytes }] }) }),
        })
      const [writer, reader] = [open(randomBytes(32)), open(key)]
      try {
        await writer.write({ policy: { appId: APP }, keys: [KEY] }, 0)
        return await reader.read(appId)
      } finally {
        writer.close()
        reader.close()
        rmSync(directory, { recursive: true })
      }
    },
    watch: () => () => undefined,
  }
}
const failingSink = { write: () => Promise.reject(new Error('the disk is full')) }

export const MISTAKES: readonly Mistake[] = [
  {
    name: 'no header with the app id',
    policy: OPEN,
    mounts: addresses,
    ask: (origin) => fetch(origin),
    line: ['APP_UNIDENTIFIED, the request names no app', 'in the header `x-app-id`'],
  },
  {
    name: 'an app id in another header',
    policy: OPEN,
    mounts: addresses,
    ask: (origin) => fetch(origin, { headers: { 'x-app': APP } }),
    line: ['APP_UNIDENTIFIED', 'where the `appId` option looks for it'],
  },
  {
    name: 'the header of the app id in upper case, which is the same header',
    policy: OPEN,
    mounts: addresses,
    ask: (origin) => fetch(origin, { headers: { 'X-APP-ID': APP } }),
    line: 'none',
  },
  {
    name: 'an app id that does not exist',
    policy: OPEN,
    mounts: addresses,
    ask: get('/', { 'x-app-id': 'ap-1' }),
    line: ['APP_UNKNOWN, there is no such app; the id is `ap-1`', 'check the spelling'],
  },
  {
    name: 'an empty store',
    store: memoryStore([]),
    mounts: addresses,
    ask: get(),
    line: ['APP_UNKNOWN', 'the id is `app-1`', 'An empty store has no apps'],
  },
  {
    name: 'a store whose vault is left out',
    store: sealedStore(undefined),
    mounts: addresses,
    ask: get(),
    line: [
      'POLICY_UNAVAILABLE, the stored data is sealed, and the store has no `vault` to open it',
      'give the store the `vault` with the key that sealed the data',
      'PORTCULLIS_VAULT_KEY',
    ],
  },
  {
    name: 'a store whose vault has another key',
    store: sealedStore(randomBytes(32)),
    mounts: addresses,
    ask: get(),
    line: [
      'POLICY_UNAVAILABLE, a sealed string does not open: it was sealed with another key',
      'PORTCULLIS_VAULT_KEY',
    ],
  },
  {
    name: 'a store that cannot be reached',
    store: down,
    mounts: addresses,
    ask: get(),
    line: [
      'POLICY_UNAVAILABLE, the store could not be read; because: connect ECONNREFUSED 127.0.0.1:6379',
      'check that the store is running',
      /\n {4}Error: connect ECONNREFUSED 127\.0\.0\.1:6379\n {8}at /,
    ],
  },
  {
    name: 'a policy without the section',
    policy: {},
    mounts: addresses,
    ask: get(),
    line: [
      'PROTECTION_NOT_CONFIGURED, the policy has no section `ipWhitelist`; it also lacks `serverOnly`, `domainProtect`, `returnUrlGuard`, `regionPin`, `auditAccess`. To fix: add the section of every mounted guard',
    ],
  },
  {
    name: 'an empty allow list',
    policy: ranges(),
    mounts: addresses,
    ask: get(),
    line: ['ADDRESS_NOT_ALLOWED, the allow list is empty', 'add the networks of the callers'],
  },
  {
    name: 'an address outside of every range',
    policy: ranges('198.51.100.0/24', '203.0.113.0/24'),
    mounts: (given) => [ipWhitelist({ ...given, clientAddress: () => '203.0.112.9' })],
    ask: get(),
    line: [
      'outside every range; the client address belongs to the internet (IPv4)',
      'Nearest entry: `203.0.113.0/24` differs in network: 23 of the 24 bits',
      'add the network of the caller',
    ],
  },
  {
    name: 'a call from the own machine',
    policy: ranges('203.0.113.0/24'),
    mounts: addresses,
    ask: get(),
    line: ['to this machine (`127.0.0.1`)', 'add `127.0.0.1` and `::1`'],
  },
  {
    name: 'a proxy in front with `trust proxy` off',
    policy: ranges('203.0.113.0/24'),
    mounts: addresses,
    ask: get('/', { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'https' }),
    line: ['to this machine (`127.0.0.1`)', 'set `trust proxy` in Express to its subnet'],
  },
  {
    name: 'a forwarded header that a caller has made up',
    policy: ranges('203.0.113.0/24'),
    mounts: addresses,
    ask: get('/', { 'x-forwarded-for': '203.0.113.7' }),
    line: ['ADDRESS_NOT_ALLOWED', 'the header is ignored, because any caller can write it'],
  },
  {
    name: 'a header that the trusted proxy does not send',
    policy: OPEN,
    mounts: (given) => [
      ipWhitelist({ ...given, clientAddress: { trustedProxies: ['loopback'], header: 'x-real-ip' } }),
    ],
    ask: get('/', { 'x-forwarded-for': '203.0.113.7' }),
    line: [
      'no readable client address; it was looked for in the header `x-real-ip`',
      'name that one in `clientAddress.header`',
    ],
  },
  {
    name: 'a list of hops of which one is not an address',
    policy: OPEN,
    mounts: behindProxies,
    ask: get('/', { 'x-forwarded-for': '203.0.113.7, unknown' }),
    line: [
      'in the header `x-forwarded-for`, which has a part that is not an address',
      'let the proxies write only addresses into this header',
    ],
  },
  {
    name: 'a list of hops that the trusted proxy does not send',
    policy: OPEN,
    mounts: behindProxies,
    ask: get(),
    line: [
      'in the header `x-forwarded-for`, which the request does not have.',
      'let the proxy send this header. If',
    ],
  },
  {
    name: 'a second proxy that is not among the trusted ones',
    policy: ranges('203.0.113.0/24'),
    mounts: behindProxies,
    ask: get('/', { 'x-forwarded-for': '203.0.113.9, 10.0.0.1' }),
    line: ['add `10.0.0.1` to `clientAddress.trustedProxies` if it is a proxy of yours'],
  },
  {
    name: 'a second proxy with a public address that is not among the trusted ones',
    policy: ranges('203.0.113.0/24'),
    mounts: behindProxies,
    ask: get('/', { 'x-forwarded-for': '203.0.113.9, 198.51.100.1' }),
    line: ['If the address is that of a proxy, add the proxy to `clientAddress.trustedProxies`'],
  },
  {
    name: 'a header of one address that has two',
    policy: OPEN,
    mounts: (given) => [
      ipWhitelist({ ...given, clientAddress: { trustedProxies: ['loopback'], header: 'x-real-ip' } }),
    ],
    ask: get('/', { 'x-real-ip': '203.0.113.7, 203.0.113.8' }),
    line: ['it was looked for in the header `x-real-ip`', 'send this header once, with one address'],
  },
  {
    name: 'a function that returns an address with its port',
    policy: OPEN,
    mounts: (given) => [ipWhitelist({ ...given, clientAddress: () => '203.0.113.7:443' })],
    ask: get(),
    line: ['by the function of the `clientAddress` option', 'as a string, without a port'],
  },
  {
    name: 'a named list that the store does not have',
    policy: { ipWhitelist: { ...ENFORCE, ranges: ['203.0.113.0/24'], lists: ['office'] } },
    mounts: addresses,
    ask: get(),
    line: ['the store has no list `office`', 'write the named list to the store'],
  },
  {
    name: 'a proxy that is not among the trusted ones',
    policy: ranges('203.0.113.0/24'),
    mounts: (given) => [
      ipWhitelist({ ...given, clientAddress: { trustedProxies: ['10.0.0.0/8'], header: 'x-forwarded-for' } }),
    ],
    ask: get('/', { 'x-forwarded-for': '203.0.113.7' }),
    line: [
      '; the address was read from the socket. Nearest',
      'name the subnet in `clientAddress.trustedProxies`',
    ],
  },
  {
    name: 'an IPv4 list and a caller by IPv6',
    policy: ranges('127.0.0.1'),
    mounts: (given) => [ipWhitelist({ ...given, clientAddress: () => '::1' })],
    ask: get(),
    line: [
      'to this machine (`::1`)',
      'Nearest entry: `127.0.0.1` differs in family: IPv6, the entry is IPv4',
      'add `127.0.0.1` and `::1`',
    ],
  },
  {
    name: 'an origin that is not listed',
    policy: domains('https://shop.example'),
    mounts: origins,
    ask: get('/', { origin: 'https://other.example' }),
    line: [
      'ORIGIN_NOT_ALLOWED, `Origin` matches no domain; `Origin` is `https://other.example`',
      'Nearest entry: `https://shop.example` differs in host',
    ],
  },
  ...[
    'HTTPS://SHOP.EXAMPLE',
    'https://shop.example:443',
    'https://shop.example/',
    'https://Shop.example:443/page?a',
  ].map((origin): Mistake => ({
    name: `an origin in another form: ${origin}`,
    policy: domains('https://shop.example'),
    mounts: origins,
    ask: get('/', { origin }),
    line: [
      `\`Origin\` is \`${origin}\`. Nearest entry: \`https://shop.example\` would match if the origin were written as \`https://shop.example\`. To fix: write the origin as browsers do`,
    ],
  })),
  {
    name: 'another origin with a slash at its end',
    policy: domains('https://shop.example'),
    mounts: origins,
    ask: get('/', { origin: 'https://other.example/' }),
    line: [
      '`Origin` is `https://other.example/`. Nearest entry: `https://shop.example` differs in host: `other.example`, the entry has `shop.example`. To fix: write the origin as browsers do',
    ],
  },
  {
    name: 'a domain of the app, with headers that no browser sends together',
    policy: domains('https://shop.example'),
    mounts: origins,
    ask: get('/', { origin: 'https://shop.example', 'x-origin': 'https://other.example' }),
    line: [
      '`X-Origin` names another origin; `Origin` is `https://shop.example`. To fix: find out what sets these headers',
    ],
  },
  {
    name: 'a policy that lists no domains',
    policy: { domainProtect: ENFORCE },
    mounts: origins,
    ask: get('/', { origin: 'https://shop.example' }),
    line: [
      'ORIGIN_NOT_ALLOWED, `domains` is empty or missing in the policy, so it admits no origin; `Origin` is',
      'list the origins of the app in `domainProtect.domains`',
    ],
  },
  {
    name: 'a policy that lists no domains, and a server',
    policy: { domainProtect: ENFORCE },
    mounts: origins,
    ask: get('/', { 'x-origin': 'https://shop.example' }),
    line: ['`domains` is empty or missing in the policy', 'list the origins of the app'],
  },
  {
    name: 'a policy that lists no return URLs',
    policy: { returnUrlGuard: ENFORCE },
    mounts: returns,
    ask: get('/?return_url=https://shop.example/app'),
    line: [
      'RETURN_URL_NOT_ALLOWED, `urls` is empty or missing in the policy, so it admits no URL',
      'list the return URLs of the app in `returnUrlGuard.urls`',
    ],
  },
  {
    name: 'an `X-Origin` with a slash at its end',
    policy: domains('https://shop.example'),
    mounts: origins,
    ask: get('/', { 'x-origin': 'https://shop.example/' }),
    line: [
      '`X-Origin` is `https://shop.example/`. Nearest entry: `https://shop.example` would match if',
      'without a path and without a trailing slash',
    ],
  },
  {
    name: 'an `X-Origin` without its scheme',
    policy: domains('https://shop.example'),
    mounts: origins,
    ask: get('/', { 'x-origin': 'shop.example' }),
    line: ['`X-Origin` is `shop.example`', 'write one origin with its scheme'],
  },
  {
    name: 'a policy that wants servers to sign, without serverOnly',
    policy: { domainProtect: { ...ENFORCE, domains: ['https://shop.example'], server: 'signed' } },
    mounts: origins,
    ask: get('/', { 'x-origin': 'https://shop.example' }),
    line: [
      'ORIGIN_REQUIRED, a server must sign',
      'mount `serverOnly` in enforcing mode before `domainProtect`',
    ],
  },
  {
    name: 'http in place of https',
    policy: domains('https://shop.example'),
    mounts: origins,
    ask: get('/', { origin: 'http://shop.example' }),
    line: [
      '`https://shop.example` differs in scheme: `http`, the entry has `https`',
      '`http:` and `https:` are different origins',
    ],
  },
  {
    name: 'www in place of the bare domain',
    policy: domains('https://shop.example'),
    mounts: origins,
    ask: get('/', { origin: 'https://www.shop.example' }),
    line: [
      'differs in subdomain: `www.shop.example`, the entry has `shop.example`',
      'with and without `www.`',
    ],
  },
  {
    name: 'a wildcard that does not admit the bare domain',
    policy: domains('https://*.shop.example'),
    mounts: origins,
    ask: get('/', { origin: 'https://shop.example' }),
    line: [
      'Nearest entry: `https://*.shop.example`',
      'a wildcard admits the subdomains of its host, but not the host',
    ],
  },
  {
    name: 'another port',
    policy: domains('http://localhost:3000'),
    mounts: origins,
    ask: get('/', { origin: 'http://localhost:5173' }),
    line: ['differs in port: `5173`, the entry has `3000`', 'each port is a different origin'],
  },
  {
    name: 'a server that sends neither `Origin` nor `X-Origin`, such as curl',
    policy: domains('https://shop.example'),
    mounts: origins,
    ask: get('/', { 'user-agent': 'curl/8.5.0' }),
    line: ['ORIGIN_REQUIRED, neither `Origin` nor `X-Origin` was sent', 'curl: `-H "X-Origin: https://…"`'],
  },
  {
    name: 'a navigation of a browser',
    policy: domains('https://shop.example'),
    mounts: origins,
    // `fetch` writes `Sec-Fetch-Mode` itself.
    ask: (origin) =>
      exchange(
        Number(new URL(origin).port),
        `GET / HTTP/1.1\r\nHost: a\r\nx-app-id: ${APP}\r\nsec-fetch-mode: navigate\r\nsec-fetch-site: none\r\nconnection: close\r\n\r\n`,
      ),
    line: ['ORIGIN_REQUIRED, a browser sent no `Origin`', 'when people open a page by its address'],
  },
  {
    name: 'the origin null',
    policy: domains('https://shop.example'),
    mounts: origins,
    ask: get('/', { origin: 'null' }),
    line: ['`Origin` is `null`', 'sandboxed frames, files and redirects'],
  },
  {
    name: 'a method that pages may not use',
    policy: { domainProtect: { ...ENFORCE, domains: ['https://shop.example'], methods: ['GET'] } },
    mounts: origins,
    ask: (origin) =>
      fetch(origin, { method: 'DELETE', headers: { 'x-app-id': APP, origin: 'https://shop.example' } }),
    line: ['METHOD_NOT_ALLOWED', 'the method is `DELETE`', 'add the method to `domainProtect.methods`'],
  },
  {
    name: 'no signature',
    policy: SIGNED,
    mounts: servers,
    ask: get(),
    line: ['SIGNATURE_REQUIRED', 'sign the request with `signRequest`'],
  },
  {
    name: 'no body parsers, so that the bytes are not kept',
    policy: SIGNED,
    mounts: (given) => [server(given)],
    ask: signed('/', { body: '{"a":1}', headers: JSON_TYPE }),
    line: ['DIGEST_MISMATCH, this server has not kept the bytes of the body', 'mount bodyParsers()'],
  },
  {
    name: 'express.json() ahead of serverOnly',
    policy: SIGNED,
    mounts: (given) => [express.json(), ...servers(given)],
    ask: signed('/', { body: '{"a":1}', headers: JSON_TYPE }),
    line: [
      'DIGEST_MISMATCH, this server has not kept the bytes of the body',
      'such as express.json(), replace it',
    ],
  },
  {
    name: 'another secret',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/', { secret: randomBytes(32).toString('base64') }),
    line: [
      'SIGNATURE_INVALID, the signature by key `key-1` does not match',
      'compare the secret of this key on both sides',
    ],
  },
  {
    name: 'another method than the one that was signed',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/', { sentMethod: 'PUT' }),
    line: ['SIGNATURE_INVALID', 'received request; `@method` was signed as GET. To fix: sign the method'],
  },
  {
    name: 'another name of this machine than the one that was signed',
    policy: SIGNED,
    mounts: servers,
    ask: (origin) => signed('/', { signedOrigin: origin.replace('127.0.0.1', 'localhost') })(origin),
    line: ['received request; `@authority` was signed as `localhost`. To fix: sign the host'],
  },
  {
    name: 'a path without the path that the router is mounted on',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/exp/x', { signedPath: '/x' }),
    line: ['received request; `@path` was signed without its first segment. To fix: sign the whole path'],
  },
  {
    name: 'a path without its first two segments',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/api/v2/x/y', { signedPath: '/x/y' }),
    line: [
      'received request; `@path` was signed without its first two segments. To fix: sign the whole path',
    ],
  },
  {
    name: 'another key id',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/', { keyId: 'key-2' }),
    line: ['SIGNATURE_INVALID, no signature was made with a key of the app', 'compare the key id'],
  },
  {
    name: 'a clock that is behind',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/', { at: Date.now() - 3_600_000 }),
    line: [/SIGNATURE_EXPIRED, created 36\d\d s ago, more than the allowed 300 s/, 'synchronise the clocks'],
  },
  {
    name: 'a clock that is ahead',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/', { at: Date.now() + 3_600_000 }),
    line: [/SIGNATURE_EXPIRED, created 3[56]\d\d s in the future/, 'the clock of the caller is ahead'],
  },
  {
    name: 'a clock in seconds in place of milliseconds',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/', { at: Math.floor(Date.now() / 1_000) }),
    line: ['SIGNATURE_EXPIRED, created 1', 'must return milliseconds, as `Date.now` does'],
  },
  {
    name: 'a guard whose clock is in seconds in place of milliseconds',
    policy: SIGNED,
    mounts: (given) => [
      serverOnly({ ...given, nonces: memoryNonces(), now: () => Math.floor(Date.now() / 1_000) }),
    ],
    ask: signed('/'),
    line: [/SIGNATURE_EXPIRED, created 1\d+ s in the future/, 'must return milliseconds, as `Date.now` does'],
  },
  ...[origins, servers, protectedBy].map((mounts, index): Mistake => ({
    name: `an app id that does not exist, mount ${index}`,
    policy: SIGNED,
    mounts,
    ask: get('/', { 'x-app-id': 'shopp' }),
    line: [
      index === 0
        ? 'APP_UNKNOWN, there is no such app; the id is `shopp`. To fix: check the spelling'
        : 'SIGNATURE_REQUIRED, there is no such app; the request is not signed; the id is `shopp`. To fix: check the spelling',
    ],
  })),
  {
    name: 'a browser with an app id that does not exist',
    policy: SIGNED,
    mounts: servers,
    ask: get('/', { 'x-app-id': 'shopp', origin: 'https://shop.example' }),
    line: [
      'a browser sent the request; the id is `shopp`; the request has the header `Origin`. To fix: check the spelling',
    ],
  },
  {
    name: 'a signature without Signature-Input',
    policy: SIGNED,
    mounts: servers,
    ask: get('/', { signature: 'abc' }),
    line: [
      'SIGNATURE_INVALID, Signature-Input was not sent. To fix: send both `Signature` and `Signature-Input`',
    ],
  },
  {
    name: 'a Signature-Input without signature',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/', { without: ['signature', 'Signature'] }),
    line: ['SIGNATURE_INVALID, Signature was not sent. To fix: send both `Signature` and `Signature-Input`'],
  },
  {
    name: 'a key id that names no app',
    policy: SIGNED,
    mounts: (given) => [
      serverOnly({ ...given, nonces: memoryNonces(), appId: appIdFrom({ keyId: () => undefined }) }),
    ],
    ask: signed('/'),
    line: ['SIGNATURE_INVALID, there is no such app; ', '; the key id of the signature names no app. To fix'],
  },
  {
    name: 'an address that is denied',
    policy: { ipWhitelist: { ...ENFORCE, ranges: ['127.0.0.0/8'], deny: ['127.0.0.0/16'] } },
    mounts: addresses,
    line: [
      'the address is in `deny`; the client address belongs to this machine',
      '; the entry is `127.0.0.0/16`; the address was read from `req.ip`. To fix',
    ],
  },
  {
    name: 'signature headers that are no structured fields',
    policy: SIGNED,
    mounts: servers,
    ask: get('/', { 'signature-input': 'key-1', signature: 'c2VjcmV0' }),
    line: ['SIGNATURE_INVALID, Signature is not a dictionary', 'write both headers as `signRequest` does'],
  },
  {
    name: 'content without a digest',
    policy: SIGNED,
    mounts: servers,
    ask: async (origin) => {
      const headers = (await signRequest(
        { method: 'POST', url: `${origin}/`, headers: { 'x-app-id': APP } },
        { keyId: KEY.id, secret: KEY.secret },
      )) as Headers
      return fetch(origin, { method: 'POST', headers: { ...headers, ...JSON_TYPE }, body: '{"a":1}' })
    },
    line: [
      'SIGNATURE_INVALID, not covered: content-digest, content-type. To fix',
      'send and sign `Content-Digest`',
    ],
  },
  {
    name: 'a content type that is not covered',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/', { body: '{"a":1}', added: JSON_TYPE }),
    line: [
      'SIGNATURE_INVALID, not covered: content-type',
      'the caller must also sign the components named here',
    ],
  },
  {
    name: 'a nonce that was used before',
    policy: SIGNED,
    mounts: servers,
    ask: async (origin) => {
      const again = signed('/', { nonce: 'n'.repeat(20) })
      await again(origin)
      await again(origin)
    },
    line: ['SIGNATURE_REPLAYED, the nonce was used before', 'create a new signature for each attempt'],
  },
  {
    name: 'a proxy that rewrites Host',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/', { signedOrigin: 'https://api.example', added: { 'x-forwarded-host': 'api.example' } }),
    line: [
      'SIGNATURE_INVALID',
      'received request; `@authority` was signed as in `X-Forwarded-Host`',
      'set the `authority` option to the origin that callers sign',
    ],
  },
  {
    name: 'a proxy that rewrites Host and says nothing of it',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/', { signedOrigin: 'https://api.example' }),
    line: ['SIGNATURE_INVALID', '`Host` (the `authority` option must be the origin that callers sign)'],
  },
  {
    name: 'a proxy that removes a prefix of the path',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/token', { signedPath: '/auth/token' }),
    line: [
      'SIGNATURE_INVALID',
      'or the path, if it strips a prefix (the `pathPrefix` option must be exactly this prefix)',
    ],
  },
  {
    name: 'a host that is not in the list of the `authority` option',
    policy: SIGNED,
    mounts: (given) => [
      ...bodyParsers(),
      serverOnly({ ...given, nonces: memoryNonces(), authority: ['https://api.example'] }),
    ],
    ask: signed('/'),
    line: [
      'SIGNATURE_INVALID',
      /`Host` is `127\.0\.0\.1:\d+`, which the origins in `authority` do not include/,
      'add the origin that callers use to the `authority` option',
    ],
  },
  {
    name: 'a signed upload whose type is not kept',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/', { body: '<a/>', headers: { 'content-type': 'application/xml' } }),
    line: [
      'DIGEST_MISMATCH',
      '`Content-Type` is `application/xml`. To fix: mount bodyParsers() before the guard, and name this media type in its `keep`',
    ],
  },
  {
    name: 'the text of the secret in place of its bytes',
    policy: SIGNED,
    mounts: servers,
    ask: signed('/', { secret: Buffer.from(KEY.secret).toString('base64') }),
    line: ['SIGNATURE_INVALID', 'received request; the base64 text of the secret was used as the secret'],
  },
  {
    name: 'a browser that calls a route for servers',
    policy: SIGNED,
    mounts: servers,
    ask: get('/', { origin: 'https://shop.example' }),
    line: [
      'BROWSER_NOT_ALLOWED',
      'a browser sent the request; the request has the header `Origin`. To fix',
      'that pages may call behind `domainProtect`',
    ],
  },
  {
    name: 'no return URL',
    policy: urls('https://shop.example/app'),
    mounts: returns,
    ask: get('/'),
    line: ['RETURN_URL_REQUIRED, the request has no return URL; the guard looked for `return_url`'],
  },
  {
    name: 'a return URL under another name',
    policy: urls('https://shop.example/app'),
    mounts: returns,
    ask: get('/?redirect_uri=https://shop.example/app'),
    line: ['the guard looked for `return_url`', 'with exactly this name'],
  },
  {
    name: 'a return URL beside the folder',
    policy: urls('https://shop.example/app'),
    mounts: returns,
    ask: get('/?return_url=https://shop.example/apple'),
    line: [
      'the URL is `https://shop.example/apple`',
      '`https://shop.example/app` differs in path: `/apple` continues within a segment of `/app`',
      'A prefix matches whole segments',
    ],
  },
  {
    name: 'a return URL below an exact entry',
    policy: urls({ exact: 'https://shop.example/done' }),
    mounts: returns,
    ask: get('/?return_url=https://shop.example/done/x'),
    line: ['exact `https://shop.example/done`', 'write the entry as a prefix'],
  },
  {
    name: 'a return URL that is a path',
    policy: urls('https://shop.example/app'),
    mounts: returns,
    ask: get('/?return_url=/app'),
    line: ['the URL was refused: it is not absolute', 'set the `relativeTo` option'],
  },
  {
    name: 'a return URL that is encoded twice',
    policy: urls('https://shop.example/app'),
    mounts: returns,
    ask: get(`/?return_url=${encodeURIComponent(encodeURIComponent('https://shop.example/app'))}`),
    line: ['it was percent-encoded twice', 'encode the URL once'],
  },
  {
    name: 'a return URL with letters that are not ASCII',
    policy: urls('https://shop.example/app'),
    mounts: returns,
    ask: get(`/?return_url=${encodeURIComponent('https://shop.example/app/gr\u{fc}n')}`),
    line: [
      'the URL was refused: it contains a character that is not ASCII',
      'percent-encode characters that are not ASCII',
    ],
  },
  {
    name: 'a return URL with a password',
    policy: urls('https://shop.example/app'),
    mounts: returns,
    ask: get('/?return_url=https://a:b@shop.example/app'),
    line: ['the URL was refused: it contains user information (`user@`)', 'without user information'],
  },
  {
    name: 'a return URL in a body that nobody has kept',
    policy: urls('https://shop.example/app'),
    mounts: (given) => [express.json(), returnUrlGuard({ ...given, returnUrl: { body: 'return_url' } })],
    ask: post('/', '{"return_url":"https://shop.example/app"}', JSON_TYPE),
    line: [
      'RETURN_URL_NOT_ALLOWED, the return URL could not be read: this server has not kept the bytes of the body. To fix: mount bodyParsers() before the guard. If another parser is mounted there, such as express.json(), replace it: it does not keep the bytes.',
    ],
  },
  {
    name: 'a return URL in a body without any parser',
    policy: urls('https://shop.example/app'),
    mounts: (given) => [returnUrlGuard({ ...given, returnUrl: { body: 'return_url' } })],
    ask: post('/', '{"return_url":"https://shop.example/app"}', JSON_TYPE),
    line: ['the return URL could not be read: this server has not kept the bytes', 'mount bodyParsers()'],
  },
  {
    name: 'a return URL with a scheme that runs a script',
    policy: urls('https://shop.example/app'),
    mounts: returns,
    ask: get('/?return_url=javascript:alert(1)'),
    line: [
      'the URL was refused: it has a scheme that is not allowed. To fix: send an `https:` URL, or one with the scheme of an app, such as `com.example.app:/callback`.',
    ],
  },
  {
    name: 'a return URL with http in place of https',
    policy: urls('https://shop.example/app'),
    mounts: returns,
    ask: get('/?return_url=http://shop.example/app'),
    line: [
      '`https://shop.example/app` differs in scheme: `http`, the entry has `https`. To fix: use `https:` in the return URL, as the entry does, or add the URL with `http:` to `returnUrlGuard.urls`.',
    ],
  },
  {
    name: 'a return URL with https in place of http',
    policy: urls('http://shop.example/app'),
    mounts: returns,
    ask: get('/?return_url=https://shop.example/app'),
    line: [
      'differs in scheme',
      'To fix: use `http:` in the return URL, as the entry does, or add the URL with `https:`',
    ],
  },
  {
    name: 'a return URL on another port',
    policy: urls('http://localhost:5173/app'),
    mounts: returns,
    ask: get('/?return_url=http://localhost:3000/app'),
    line: ['differs in port', 'add the URL with this port to `returnUrlGuard.urls`'],
  },
  {
    name: 'a return URL with www.',
    policy: urls('https://shop.example/app'),
    mounts: returns,
    ask: get('/?return_url=https://www.shop.example/app'),
    line: [
      'differs in subdomain',
      'add the URL with this host to `returnUrlGuard.urls` if it belongs to the app',
    ],
  },
  {
    name: 'a return URL of a stranger',
    policy: urls('https://shop.example/app'),
    mounts: returns,
    ask: get('/?return_url=https://other.example/'),
    line: [
      'differs in host',
      'add the page, or the folder that contains it, to `returnUrlGuard.urls` if it belongs to the app.',
    ],
  },
  ...(
    [
      ['an encoded slash', 'https://shop.example/app/a%2Fb', 'only an exact entry'],
      ['an encoded control character', 'https://shop.example/app/a%00', 'remove the character'],
      ['a percent sign', 'https://shop.example/app/a%', 'write a percent sign as `%25`'],
      ['an invalid port', 'https://shop.example:99999/app', 'write a port from 1 to 65535'],
      ['an invalid host', 'https://-shop.example/app', 'write the host as an ASCII name'],
      ['a length of 3,000', `https://shop.example/app/${'a'.repeat(3_000)}`, 'shorten the URL'],
      ['a dot segment', 'https://shop.example/app/../x', 'as `new URL(url).href` writes it'],
    ] as const
  ).map(([what, url, fix]): Mistake => ({
    name: `a return URL with ${what}`,
    policy: urls('https://shop.example/app'),
    mounts: returns,
    ask: get(`/?return_url=${encodeURIComponent(url)}`),
    line: ['the URL was refused: it ', `To fix: `, fix],
  })),
  {
    name: 'a return URL in a body of another type',
    policy: urls('https://shop.example/app'),
    mounts: (given) => [...bodyParsers(), returnUrlGuard({ ...given, returnUrl: { body: 'return_url' } })],
    ask: post('/', 'return_url=https://shop.example/app', { 'content-type': 'text/plain' }),
    line: ['RETURN_URL_NOT_ALLOWED, the return URL could not be read', 'end the body as JSON or as a form'],
  },
  {
    name: 'a country that is not known',
    policy: { regionPin: ENFORCE },
    mounts: region(() => undefined),
    ask: get(),
    line: [
      'REGION_UNKNOWN, no usable country, and the policy has no fallback',
      'let the `country` option return',
    ],
  },
  {
    name: 'the name of a country in place of its code',
    policy: { regionPin: ENFORCE },
    mounts: region(() => 'Germany'),
    ask: get(),
    line: ['REGION_UNKNOWN', 'write `DE`, and not `Germany`'],
  },
  {
    name: 'the code that people use for the United Kingdom',
    policy: { regionPin: ENFORCE },
    mounts: region(() => Promise.resolve('UK')),
    ask: get(),
    line: ['REGION_UNKNOWN', '`GB`, and not `UK`'],
  },
  {
    name: 'a record in place of its country',
    policy: { regionPin: ENFORCE },
    mounts: region(() => ({ country: 'DE' })),
    ask: get(),
    line: ['REGION_UNKNOWN', 'the `country` option returned a value of type object'],
  },
  {
    name: 'another region',
    policy: { regionPin: ENFORCE },
    mounts: region(() => 'US'),
    ask: get(),
    line: [
      'REGION_MISDIRECTED',
      'this location is `london`; the jurisdiction is `world`; it comes from the `country` option',
      'Check the `here` option',
    ],
  },
  {
    name: 'a sink that fails',
    policy: { auditAccess: ENFORCE },
    mounts: (given) => [auditAccess({ ...given, sink: failingSink })],
    ask: get(),
    line: [
      'AUDIT_UNAVAILABLE, the sink did not store the events of the request; because: the disk is full',
      'check that the audit sink is running',
      'Error: the disk is full',
    ],
  },
  {
    name: 'a nonce store that fails',
    policy: SIGNED,
    mounts: (given) => [serverOnly({ ...given, nonces: { claim: () => Promise.reject(new Error('down')) } })],
    ask: signed('/'),
    line: ['NONCES_UNAVAILABLE', 'check whether the nonce store is running'],
  },
  {
    name: 'an option that throws',
    policy: { regionPin: ENFORCE },
    mounts: region(() => {
      throw new TypeError("Cannot read properties of undefined (reading 'country')")
    }),
    ask: get(),
    line: [
      "OPTION_FAILED, the `country` option failed with TypeError: Cannot read properties of undefined (reading 'country'). To fix",
      'correct the option',
      /\n {4}TypeError: Cannot read properties of undefined \(reading 'country'\)\n {8}at /,
    ],
  },
  {
    name: 'a router without mergeParams',
    policy: OPEN,
    mounts: (given) => {
      const router = Router()
      router.use(ipWhitelist({ ...given, appId: appIdFrom({ param: 'appId' }) }) as RequestHandler)
      return ['/apps/:appId', router]
    },
    ask: get(`/apps/${APP}/x`),
    line: ['APP_UNIDENTIFIED', 'needs `mergeParams: true`'],
  },
]

/** The lines that a mistake causes. */
export async function linesOf({ policy, store, mounts, ask = get() }: Mistake): Promise<string[]> {
  const initial: InitialApp = { policy: { appId: APP, ...policy }, keys: [KEY] }
  const policies: PolicySource = createPolicySource({ store: store ?? memoryStore([initial]) })
  const lines: string[] = []
  const app = express()
  app.use(...(mounts({ policies, logger: { warn: (line) => void lines.push(line) } }) as RequestHandler[]))
  app.use((_req, res) => void res.json({ passed: true }))
  try {
    await listening(app, ask)
  } finally {
    policies.close()
  }
  return lines
}
