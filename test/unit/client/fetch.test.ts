import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { signedFetch, type SignedFetchOptions } from '../../../src/client/index.ts'
import { ConfigError } from '../../../src/errors.ts'
import { SECRET } from '../signature/message.ts'
import { startVerifyingServer, type Received } from './verifying-server.ts'

const options: SignedFetchOptions = { keyId: 'key-1', secret: SECRET }

describe('signedFetch', () => {
  let server: Awaited<ReturnType<typeof startVerifyingServer>>
  let origin: string
  let received: Received[]

  beforeAll(async () => {
    server = await startVerifyingServer((req, res) => {
      if (req.url === '/away') res.writeHead(302, { location: `${origin}/elsewhere` })
      res.end('answer')
    })
    ;({ origin, received } = server)
  })
  afterAll(() => server.close())
  beforeEach(() => {
    received.length = 0
  })

  const bodies: readonly (readonly [
    what: string,
    body: NonNullable<RequestInit['body']>,
    content: string,
    type: string | undefined,
  ])[] = [
    ['a text', 'caf\u00e9', 'caf\u00e9', 'text/plain;charset=UTF-8'],
    ['bytes', new Uint8Array([97, 98]), 'ab', undefined],
    ['an ArrayBuffer', new Uint8Array([97, 98]).buffer, 'ab', undefined],
    [
      'URLSearchParams',
      new URLSearchParams({ a: 'b c' }),
      'a=b+c',
      'application/x-www-form-urlencoded;charset=UTF-8',
    ],
    ['a Blob', new Blob(['{}'], { type: 'application/json' }), '{}', 'application/json'],
  ]
  it.each(bodies)('signs the request that it sends: %s', async (_what, body, content, type) => {
    const response = await signedFetch(options)(`${origin}/a`, { method: 'POST', body })
    expect(await response.text()).toBe('answer')
    expect(received[0]?.result).toMatchObject({ ok: true })
    expect(received[0]?.content.toString()).toBe(content)
    expect(received[0]?.req.headers['content-type']).toBe(type)
  })

  const urls = [
    '',
    '/?',
    '/a b/\u00e9?q=\u00fc|"\'#fragment',
    '//x/../y//',
    '/a%2fb?c=%zz&d=?',
    '/\\a\\..\\b',
  ]
  it.each(urls)('signs the URL that goes on the wire: %j', async (path) => {
    await signedFetch(options)(origin + path)
    await signedFetch(options)(new URL(origin + path), { method: 'delete' })
    expect(received.map(({ result }) => result.ok)).toEqual([true, true])
  })

  it('sends and covers the app id and the origin', async () => {
    const call = signedFetch({
      ...options,
      appId: 'app-1',
      appIdHeader: 'X-My-App',
      origin: 'https://shop.example',
    })
    await call(`${origin}/`, { headers: { 'x-more': 'y' } })
    expect(received[0]?.req.headers).toMatchObject({
      'x-my-app': 'app-1',
      'x-origin': 'https://shop.example',
      'x-more': 'y',
    })
    expect(received[0]?.req.headers['signature-input']).toContain('"@query" "x-origin" "x-my-app")')
    expect(received[0]?.result).toMatchObject({ ok: true })
  })

  it('accepts a Request with any kind of body', async () => {
    const form = new FormData()
    form.set('a', 'b')
    const call = signedFetch(options)
    await call(new Request(`${origin}/r`, { method: 'PUT', body: form, headers: { 'x-kept': 'yes' } }))
    await call(new Request(`${origin}/r?x`), { headers: { 'x-set': 'yes' } })
    expect(received.map(({ result }) => result.ok)).toEqual([true, true])
    expect(received[0]?.req.headers).toMatchObject({ 'x-kept': 'yes' })
    expect(received[0]?.req.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/)
    expect(received[0]?.content.toString()).toContain('name="a"')
    expect(received[1]?.req).toMatchObject({ method: 'GET', url: '/r?x' })
  })

  it('uses a nonce once', async () => {
    const call = signedFetch(options)
    await Promise.all([call(`${origin}/`), call(`${origin}/`), call(`${origin}/`)])
    expect(new Set(received.map(({ result }) => (result.ok ? result.nonce : ''))).size).toBe(3)
  })

  it('returns a redirect instead of following it', async () => {
    const response = await signedFetch(options)(`${origin}/away`)
    expect(response.status).toBe(302)
    expect(response.headers.get('location')).toBe(`${origin}/elsewhere`)
    await signedFetch(options)(new Request(`${origin}/away`))
    await expect(signedFetch(options)(`${origin}/away`, { redirect: 'error' })).rejects.toThrow()
    expect(received.map(({ req }) => req.url)).toEqual(['/away', '/away', '/away'])
    await expect(signedFetch(options)(`${origin}/`, { redirect: 'follow' })).rejects.toThrow(/one URL/)
  })

  it('can be aborted with the signal of the call or of the request', async () => {
    const signal = AbortSignal.abort(new Error('stopped'))
    await expect(signedFetch(options)(`${origin}/`, { signal })).rejects.toThrow('stopped')
    await expect(signedFetch(options)(new Request(`${origin}/`, { signal }))).rejects.toThrow('stopped')
  })

  const unknown: readonly (readonly [what: string, body: unknown, message: RegExp])[] = [
    ['FormData', new FormData(), /FormData .* `new Request\(url/],
    ['a stream', new Blob(['x']).stream(), /read a stream first/],
    ['an iterable', (async function* () {})(), /read a stream first/],
    ['an object', { a: 1 }, /JSON\.stringify/],
  ]
  it.each(unknown)('refuses %s, and says what to do', async (_what, body, message) => {
    const init = { method: 'POST', body: body as NonNullable<RequestInit['body']> }
    await expect(signedFetch(options)(`${origin}/`, init)).rejects.toThrow(message)
    await expect(signedFetch(options)(`${origin}/`, init)).rejects.toBeInstanceOf(TypeError)
    expect(received).toEqual([])
  })

  it('refuses a Host header, which fetch would not send', async () => {
    await expect(signedFetch(options)(`${origin}/`, { headers: { host: 'a.example' } })).rejects.toThrow(
      /`host`/,
    )
  })

  it('uses the given fetch, and can replace one', async () => {
    const seen: unknown[] = []
    const standIn: typeof fetch = signedFetch({
      ...options,
      fetch: async (input, init) => {
        seen.push(input, init?.method)
        return new Response('stood in')
      },
    })
    expect(await (await standIn('https://example.com/', { method: 'post' })).text()).toBe('stood in')
    expect(seen).toEqual(['https://example.com/', 'POST'])
  })

  const wrong: readonly object[] = [
    { fetch: 1 },
    { appId: '' },
    { appIdHeader: 'a b' },
    { origin: 'https://a.example/' },
    { origin: 'a.example' },
    { secret: 'short' },
    { cache: true },
  ]
  it.each(wrong)('refuses the options %j immediately', (more) => {
    expect(() => signedFetch({ ...options, ...more })).toThrow(ConfigError)
  })
})
