import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import axios, { type AxiosInstance, type AxiosRequestConfig, type CreateAxiosDefaults } from 'axios'
import { signedAxios, type CallerOptions } from '../../../src/client/index.ts'
import { ConfigError } from '../../../src/errors.ts'
import { SECRET } from '../signature/message.ts'
import { startVerifyingServer } from './verifying-server.ts'

const options: CallerOptions = {
  keyId: 'key-1',
  secret: SECRET,
  appId: 'app-1',
  origin: 'https://shop.example',
}

describe('signedAxios', () => {
  let server: Awaited<ReturnType<typeof startVerifyingServer>>

  beforeAll(async () => {
    server = await startVerifyingServer((req, res) => {
      if (req.url === '/away') res.writeHead(302, { location: '/elsewhere' })
      if (req.url?.startsWith('/busy')) res.writeHead(503)
      res.end('{"answer":1}')
    })
  })
  afterAll(() => server.close())
  beforeEach(() => {
    server.received.length = 0
  })

  const client = (config: CreateAxiosDefaults = {}): AxiosInstance =>
    signedAxios(axios.create({ baseURL: server.origin, ...config }), options)

  const requests: readonly (readonly [
    what: string,
    config: AxiosRequestConfig,
    wire: { url?: string; content?: string; type?: string | undefined },
  ])[] = [
    ['a GET', { url: '/a' }, { url: '/a', content: '' }],
    [
      'params, as axios writes them',
      {
        url: '/a?x=1',
        params: { q: 'b c', list: ['1', '2'], when: new Date(0), none: null, deep: { a: 'é' } },
      },
      { url: '/a?x=1&q=b+c&list%5B%5D=1&list%5B%5D=2&when=1970-01-01T00:00:00.000Z&deep%5Ba%5D=%C3%A9' },
    ],
    [
      'a serialiser of params',
      { url: '/a', params: { q: ['1', '2'] }, paramsSerializer: { indexes: null } },
      { url: '/a?q=1&q=2' },
    ],
    ['a path that the URL parser writes anew', { url: '/x/../é |"#f' }, { url: '/%C3%A9%20|%22' }],
    [
      'an object as JSON',
      { method: 'post', data: { a: 'é', b: [1] } },
      { content: '{"a":"é","b":[1]}', type: 'application/json' },
    ],
    [
      'a text with its type',
      { method: 'put', data: '<a/>', headers: { 'Content-Type': 'application/xml' } },
      { content: '<a/>', type: 'application/xml' },
    ],
    [
      'a text without',
      { method: 'post', data: 'a=b' },
      { content: 'a=b', type: 'application/x-www-form-urlencoded' },
    ],
    [
      'a form',
      { method: 'post', data: new URLSearchParams({ a: 'b c' }) },
      { content: 'a=b+c', type: 'application/x-www-form-urlencoded;charset=utf-8' },
    ],
    [
      'an object as a form',
      {
        method: 'patch',
        data: { a: 'b c' },
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      },
      { content: 'a=b+c', type: 'application/x-www-form-urlencoded' },
    ],
    [
      'bytes',
      { method: 'post', data: Buffer.from([1, 2, 255]), headers: { 'content-type': 'a/b' } },
      { content: Buffer.from([1, 2, 255]).toString(), type: 'a/b' },
    ],
    ['bytes of another kind', { method: 'post', data: new Uint8Array([97]).buffer }, { content: 'a' }],
    [
      'a Blob',
      { method: 'post', data: new Blob(['ab'], { type: 'c/d' }), headers: { 'content-type': 'c/d' } },
      { content: 'ab', type: 'c/d' },
    ],
    ['a POST of nothing', { method: 'post', url: '/p' }, { url: '/p', content: '' }],
    [
      'a DELETE with data',
      { method: 'delete', data: { a: 1 } },
      { content: '{"a":1}', type: 'application/json' },
    ],
    [
      'a transformation of one’s own',
      { method: 'post', data: { a: 1 }, transformRequest: (data: { a: number }) => `n=${data.a}` },
      { content: 'n=1', type: 'application/x-www-form-urlencoded' },
    ],
    ['an absolute URL', { url: 'ABSOLUTE' }, { url: '/absolute' }],
  ]
  for (const adapter of ['http', 'fetch'] as const) {
    it.each(requests)(
      `signs requests sent by ${adapter}: %s`,
      async (_what, config, { url, content, type }) => {
        const target = config.url === 'ABSOLUTE' ? `${server.origin}/absolute` : (config.url ?? '/')
        const response = await client({ adapter }).request<unknown>({ ...config, url: target })
        expect(response.data).toEqual({ answer: 1 })
        const [one] = server.received
        expect(one?.result).toMatchObject({ ok: true, keyId: 'key-1' })
        if (url !== undefined) expect(one?.req.url).toBe(url)
        if (content !== undefined) expect(one?.content.toString()).toBe(content)
        if (type !== undefined) expect(one?.req.headers['content-type']).toBe(type)
        const input = one?.req.headers['signature-input']
        expect(input).toContain('"x-app-id"')
        expect(input).toContain('"x-origin"')
        if (one?.content.length !== 0) {
          expect(input).toContain('"content-digest"')
          if (one?.req.headers['content-type'] !== undefined) expect(input).toContain('"content-type"')
        }
      },
    )
  }

  it('signs the request with the defaults of the instance and the changes of earlier interceptors', async () => {
    const api = client({ headers: { common: { authorization: 'Bearer t' } }, params: { v: '2' } })
    api.interceptors.request.use((config) => {
      config.headers.set('content-type', 'a/b')
      config.url = '/changed'
      return config
    })
    await api.post('/x', 'data')
    expect(server.received[0]?.result).toMatchObject({ ok: true })
    expect(server.received[0]?.req).toMatchObject({ url: '/changed?v=2', headers: { 'content-type': 'a/b' } })
    expect(server.received[0]?.req.headers['signature-input']).toContain('"authorization"')
  })

  it('signs again when the configuration of a failed request is reused', async () => {
    const api = client({ params: { v: '2' } })
    api.interceptors.response.use(undefined, async (error: { config: AxiosRequestConfig }) =>
      server.received.length < 3 ? api.request(error.config) : { data: 'gave up' },
    )
    expect(await api.post('/busy', { a: 1 })).toEqual({ data: 'gave up' })
    expect(server.received.map(({ req, content }) => [req.url, content.toString()])).toEqual(
      Array.from({ length: 3 }, () => ['/busy?v=2', '{"a":1}']),
    )
    const nonces = server.received.map(({ result }) => (result.ok ? result.nonce : 'refused'))
    expect(new Set(nonces).size).toBe(3)
  })

  it.each(['http', 'fetch'])('returns a redirect instead of following it, with %s', async (adapter) => {
    await expect(client({ adapter }).get('/away')).rejects.toMatchObject({ response: { status: 302 } })
    expect(server.received.map(({ req }) => req.url)).toEqual(['/away'])
  })

  it('signs with an Ed25519 key', async () => {
    const { ED25519 } = await import('./verifying-server.ts')
    const api = signedAxios(axios.create(), { keyId: 'key-2', privateKey: ED25519.pem })
    await api.post(`${server.origin}/`, { a: 1 })
    expect(server.received[0]?.result).toMatchObject({ ok: true, keyId: 'key-2' })
  })

  const refused: readonly (readonly [what: string, config: AxiosRequestConfig, message: RegExp])[] = [
    ['auth', { auth: { username: 'a', password: 'b' } }, /set the header `authorization`/],
    ['redirects', { maxRedirects: 5 }, /one URL/],
    ['FormData', { method: 'post', data: new FormData() }, /FormData/],
    ['a stream', { method: 'post', data: new Blob(['x']).stream() }, /read a stream first/],
    ['a GET with data', { data: { a: 1 } }, /GET request must not have a body/],
  ]
  it.each(refused)('refuses %s, and says what to do', async (_what, config, message) => {
    const call = client().request({ url: '/', ...config })
    await expect(call).rejects.toThrow(message)
    await expect(call).rejects.toBeInstanceOf(TypeError)
    expect(server.received).toEqual([])
  })

  it('refuses wrong options immediately', () => {
    expect(() => signedAxios(axios.create(), { ...options, secret: 'x' })).toThrow(ConfigError)
    expect(() => signedAxios(axios.create(), { ...options, fetch } as CallerOptions)).toThrow(
      /signedAxios: unknown option `fetch`/,
    )
  })
})
