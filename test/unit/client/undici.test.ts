import { Readable } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { Agent, Client, type Dispatcher, FormData, interceptors, fetch as undiciFetch } from 'undici'
import { signedFetch, undiciSigner, type CallerOptions } from '../../../src/client/index.ts'
import { ConfigError } from '../../../src/errors.ts'
import { SECRET } from '../signature/message.ts'
import { startVerifyingServer } from './verifying-server.ts'

const options: CallerOptions = { keyId: 'key-1', secret: SECRET, appId: 'app-1' }

type Given = Partial<Dispatcher.RequestOptions>

describe('undiciSigner', () => {
  let server: Awaited<ReturnType<typeof startVerifyingServer>>
  const agent = new Agent()

  beforeAll(async () => {
    server = await startVerifyingServer((req, res) => {
      if (req.url === '/busy' && server.received.length < 3) res.writeHead(503)
      if (req.url === '/away') res.writeHead(302, { location: '/elsewhere' })
      res.end('answer')
    })
  })
  afterAll(async () => {
    await agent.close()
    await server.close()
  })
  beforeEach(() => {
    server.received.length = 0
  })

  const send = async (given: Given, dispatcher: Dispatcher = agent.compose(undiciSigner(options))) => {
    const response = await dispatcher.request({ origin: server.origin, path: '/', method: 'GET', ...given })
    return { status: response.statusCode, text: await response.body.text() }
  }

  const requests: readonly (readonly [
    what: string,
    given: Given,
    wire: { url?: string; content?: string },
  ])[] = [
    ['a GET', { path: '/a?b=c' }, { url: '/a?b=c', content: '' }],
    ['a path as it is', { path: '/x/../%2f|"?' }, { url: '/x/../%2f|"?' }],
    [
      'a query, as undici writes it',
      { path: '/a', query: { q: 'b c', list: ['1', 2], none: null, yes: true, gone: undefined } },
      { url: '/a?q=b%20c&list=1&list=2&none=&yes=true&gone=' },
    ],
    ['an empty query', { path: '/a', query: {} }, { url: '/a' }],
    ['a text', { method: 'POST', body: 'é' }, { content: 'é' }],
    ['a Buffer', { method: 'PUT', body: Buffer.from('ab') }, { content: 'ab' }],
    ['bytes', { method: 'PATCH', body: new TextEncoder().encode('_ab').subarray(1) }, { content: 'ab' }],
    ['a stream', { method: 'POST', body: Readable.from([Buffer.from('a'), 'é']) }, { content: 'aé' }],
    ['no content', { method: 'POST', body: '' }, { content: '' }],
    [
      'headers in a record',
      { headers: { 'X-A': ['1', '2'], 'content-type': 'a/b', 'x-none': undefined } },
      {},
    ],
    ['headers in turn', { headers: ['content-type', 'a/b', 'X-A', '1'] }, {}],
    ['headers in pairs', { headers: new Map([['content-type', 'a/b']]) }, {}],
  ]
  it.each(requests)('signs the request that it sends: %s', async (_what, given, { url, content }) => {
    expect(await send(given)).toEqual({ status: 200, text: 'answer' })
    const [one] = server.received
    expect(one?.result).toMatchObject({ ok: true })
    expect(one?.req.headers['x-app-id']).toBe('app-1')
    if (url !== undefined) expect(one?.req.url).toBe(url)
    if (content !== undefined) expect(one?.content.toString()).toBe(content)
    if (given.headers !== undefined) {
      expect(one?.req.headers['content-type']).toBe('a/b')
      expect(one?.req.headers['signature-input']).toContain('"content-type"')
    }
  })

  it('writes a query like undici does without it', async () => {
    const query = { 'a b': 'c&d', é: ['~!*()', "'"], none: null, object: { a: 1 }, n: 1.5 }
    await send({ path: '/q', query }, agent)
    await send({ path: '/q', query })
    expect(server.received[1]?.req.url).toBe(server.received[0]?.req.url)
    expect(server.received[1]?.result).toMatchObject({ ok: true })
  })

  it('signs each attempt again if a retry interceptor is outside it', async () => {
    const dispatcher = agent.compose(
      undiciSigner(options),
      interceptors.retry({ minTimeout: 1, maxTimeout: 1 }),
    )
    expect(await send({ path: '/busy', method: 'PUT', body: 'x' }, dispatcher)).toMatchObject({ status: 200 })
    const nonces = server.received.map(({ result }) => (result.ok ? result.nonce : 'refused'))
    expect(new Set(nonces).size).toBe(3)
    expect(nonces).not.toContain('refused')
  })

  it('signs for the requested host', async () => {
    await send({ headers: { host: 'other.example' } })
    expect(server.received[0]?.req.headers.host).toBe('other.example')
    expect(server.received[0]?.result).toMatchObject({ ok: true })
  })

  it('works on a Client if it is given the origin', async () => {
    const client = new Client(server.origin)
    const composed = client.compose(undiciSigner(options))
    expect(await send({}, composed)).toMatchObject({ status: 200 })
    await expect(composed.request({ path: '/', method: 'GET' })).rejects.toThrow(/must name its `origin`/)
    await client.close()
  })

  const refused: readonly (readonly [what: string, given: Given, message: RegExp])[] = [
    ['FormData', { method: 'POST', body: new FormData() }, /FormData/],
    ['a stream of objects', { method: 'POST', body: Readable.from([{ a: 1 }]) }, /bytes or strings/],
    ['a GET with a body', { body: 'x' }, /GET request must not have a body/],
    ['a fragment', { path: '/a#b' }, /request target is not a path/],
    ['two queries', { path: '/a?b', query: { c: 1 } }, /not in both/],
  ]
  it.each(refused)('refuses %s, and says what to do', async (_what, given, message) => {
    const call = send(given)
    await expect(call).rejects.toThrow(message)
    await expect(call).rejects.toBeInstanceOf(TypeError)
    expect(server.received).toEqual([])
  })

  it('leaves errors of the request to undici', async () => {
    await expect(send({ headers: { connection: 'a b' } })).rejects.toThrow('invalid connection header')
    const signal = AbortSignal.abort(new Error('stopped'))
    await expect(send({ signal })).rejects.toThrow('stopped')
  })

  it('refuses wrong options immediately', () => {
    expect(() => undiciSigner({ ...options, keyId: '' })).toThrow(ConfigError)
  })

  it("is not needed for undici's fetch, which signedFetch accepts", async () => {
    const call = signedFetch({ ...options, fetch: undiciFetch as unknown as typeof fetch })
    const response = await call(`${server.origin}/away`, { method: 'POST', body: '{}' })
    expect(response.status).toBe(302)
    expect(server.received.map(({ result }) => result.ok)).toEqual([true])
  })
})
