import { describe, expect, it } from '@jest/globals'
import request, { type Test } from 'supertest'
import { superagentSigner, type CallerOptions } from '../../../src/client/index.ts'
import { ConfigError } from '../../../src/errors.ts'
import { SECRET } from '../signature/message.ts'
import { startVerifyingServer, verifyingListener, type Received } from './verifying-server.ts'

const options: CallerOptions = {
  keyId: 'key-1',
  secret: SECRET,
  appId: 'app-1',
  origin: 'https://shop.example',
}

describe('superagentSigner', () => {
  const tests: readonly (readonly [
    what: string,
    make: (agent: ReturnType<typeof request>) => Test,
    wire: { url?: string; content?: string | RegExp; type?: string | RegExp },
  ])[] = [
    ['a GET', (agent) => agent.get('/a?b'), { url: '/a?b', content: '' }],
    [
      'a query',
      (agent) =>
        agent
          .get('/a')
          .query({ q: 'b c', list: ['1', '2'] })
          .query('raw=%zz'),
      { url: '/a?raw=%zz&q=b%20c&list=1&list=2' },
    ],
    [
      'dot segments, which superagent sends as they are',
      (agent) => agent.get('/x/%2e%2e/./y'),
      { url: '/x/%2e%2e/./y' },
    ],
    [
      'an object as JSON',
      (agent) => agent.post('/').send({ a: 'é' }).send({ b: 1 }),
      { content: '{"a":"é","b":1}', type: 'application/json' },
    ],
    [
      'a form',
      (agent) =>
        agent
          .post('/')
          .type('form')
          .send({ a: { b: 'c d' } }),
      { content: 'a[b]=c%20d', type: 'application/x-www-form-urlencoded' },
    ],
    ['a text', (agent) => agent.put('/').type('text').send('é'), { content: 'é', type: 'text/plain' }],
    [
      'bytes',
      (agent) => agent.patch('/').type('a/b').send(Buffer.from('ab')),
      { content: 'ab', type: 'a/b' },
    ],
    [
      'a multipart form with a file',
      (agent) => agent.post('/').field('a', 'b').attach('file', Buffer.from('content'), 'name.txt'),
      {
        content: /name="a"[^]*\r\nb\r\n[^]*filename="name.txt"[^]*content/,
        type: /^multipart\/form-data; boundary=/,
      },
    ],
    ['a POST of nothing', (agent) => agent.post('/'), { content: '' }],
    ['credentials', (agent) => agent.delete('/').auth('user', 'password'), {}],
    [
      'what is set later',
      (agent) => agent.post('/').send({}).set('x-later', '1').set('authorization', 'Bearer t'),
      { content: '{}' },
    ],
    ['a HEAD', (agent) => agent.head('/h'), { url: '/h' }],
  ]
  it.each(tests)('signs the request that it sends: %s', async (_what, make, { url, content, type }) => {
    const received: Received[] = []
    await make(request(verifyingListener(received)))
      .use(superagentSigner(options))
      .expect(200)
    const [one] = received
    expect(received).toHaveLength(1)
    expect(one?.result).toMatchObject({ ok: true })
    if (url !== undefined) expect(one?.req.url).toBe(url)
    const text = one?.content.toString() ?? ''
    if (typeof content === 'string')
      expect(decodeURI(text).replaceAll('%20', ' ')).toBe(content.replaceAll('%20', ' '))
    else if (content !== undefined) expect(text).toMatch(content)
    if (type !== undefined) expect(one?.req.headers['content-type']).toMatch(type)
    const input = one?.req.headers['signature-input']
    for (const name of ['x-app-id', 'x-origin']) expect(input).toContain(`"${name}"`)
    for (const name of ['content-type', 'authorization', 'content-digest']) {
      expect(String(input).includes(`"${name}"`)).toBe(one?.req.headers[name] !== undefined)
    }
  })

  it('signs at any position in the chain, and with a callback', async () => {
    const received: Received[] = []
    const app = verifyingListener(received)
    await request(app).post('/').use(superagentSigner(options)).send({ a: 1 }).expect(200, 'answer')
    await new Promise<void>((resolve, reject) => {
      request(app)
        .post('/')
        .send({ a: 1 })
        .use(superagentSigner(options))
        .expect(200)
        .end((error: Error | null) => (error === null ? resolve() : reject(error)))
    })
    expect(received.map(({ result, content }) => [result.ok, content.toString()])).toEqual([
      [true, '{"a":1}'],
      [true, '{"a":1}'],
    ])
  })

  it('signs all requests of an agent, with its cookies', async () => {
    const received: Received[] = []
    const app = verifyingListener(received, (_req, res) => {
      res.setHeader('set-cookie', 'a=b')
      res.end()
    })
    const agent = request.agent(app).use(superagentSigner({ ...options, covered: [] }))
    await agent.get('/1').expect(200)
    await agent.post('/2').send({ a: 1 }).expect(200)
    expect(received.map(({ result }) => result.ok)).toEqual([true, true])
    expect(received[1]?.req.headers.cookie).toBe('a=b')
  })

  it('signs each attempt and each redirect again', async () => {
    const server = await startVerifyingServer((req, res) => {
      if (req.url === '/away') res.writeHead(307, { location: '/here' })
      else if (server.received.length < 4) res.writeHead(503)
      res.end()
    })
    await request(server.origin)
      .put('/away')
      .use(superagentSigner(options))
      .redirects(1)
      .send({ a: 1 })
      .retry(3)
      .expect(200)
    await server.close()
    const nonces = server.received.map(({ result }) => (result.ok ? result.nonce : 'refused'))
    expect(nonces).not.toContain('refused')
    expect(new Set(nonces).size).toBe(server.received.length)
    expect(server.received.map(({ content }) => content.toString())).toEqual(
      server.received.map(() => '{"a":1}'),
    )
  })

  it('fails a request that cannot be signed, and sends nothing', async () => {
    const received: Received[] = []
    const test = request(verifyingListener(received)).get('/').send({ a: 1 }).use(superagentSigner(options))
    await expect(test).rejects.toThrow('a GET request must not have a body')
    expect(received).toEqual([])
  })

  it('refuses wrong options immediately', () => {
    expect(() => superagentSigner({ ...options, origin: 'a' })).toThrow(ConfigError)
  })
})
