import { once } from 'node:events'
import { createServer } from 'node:http'
import {
  connect,
  constants,
  createServer as createHttp2Server,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { connect as connectTcp, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import {
  appIdFrom,
  auditAccess,
  createPolicySource,
  domainProtect,
  guardUpgrade,
  ipWhitelist,
  memoryAuditSink,
  memoryStore,
  type RequestHandler,
} from 'portcullis'
import type { PolicyStore } from 'portcullis/store'

const ORIGIN = 'https://shop.example'
const EVIL = 'https://evil.example'
const enforce = { mode: 'enforce' } as const
const auditAccessOf = (onSinkFailure: 'allow' | 'deny') => ({ auditAccess: { ...enforce, onSinkFailure } })
const pages = { domainProtect: { ...enforce, domains: [ORIGIN], methods: ['GET'] } }
const store = memoryStore([
  { policy: { appId: 'page', ...pages, ...auditAccessOf('allow') } },
  { policy: { appId: 'held', ...pages, ...auditAccessOf('deny') } },
  { policy: { appId: 'both', ...pages, ipWhitelist: { ...enforce, ranges: ['127.0.0.0/8'] } } },
  { policy: { appId: 'elsewhere', ...pages, ipWhitelist: { ...enforce, ranges: ['203.0.113.0/24'] } } },
  { policy: { appId: 'near', ipWhitelist: { ...enforce, ranges: ['127.0.0.0/8'] } } },
  { policy: { appId: 'far', ipWhitelist: { ...enforce, ranges: ['203.0.113.0/24'] } } },
])
/** A store whose first read is always asynchronous. */
const slow: PolicyStore = {
  read: (appId) => new Promise((resolve) => setTimeout(() => resolve(store.read(appId)), 20)),
}
const stores = [
  ['from memory', store],
  ['after a look at the store', slow],
] as const

describe.each(stores)('CONNECT of HTTP/1, by a policy %s', (_where, from) => {
  /** The answer to a caller, and the number of listener calls. */
  async function tunnel(app: string): Promise<{ answer: string; heard: number }> {
    const server = createServer((_req, res) => res.end('a request'))
    let heard = 0
    server.on('connect', (_req, socket: Socket, first: Buffer) => {
      heard += 1
      socket.end(`HTTP/1.1 200 Connected\r\n\r\ntunnel ${first.toString()}`)
    })
    guardUpgrade(server, { guards: ipWhitelist({ policies: createPolicySource({ store: from }) }) })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const socket = connectTcp((server.address() as AddressInfo).port, '127.0.0.1')
      socket.write(
        `CONNECT inner.example:80 HTTP/1.1\r\nHost: inner.example\r\nX-App-Id: ${app}\r\n\r\nfirst`,
      )
      const chunks: Buffer[] = []
      for await (const chunk of socket) chunks.push(chunk as Buffer)
      return { answer: Buffer.concat(chunks).toString(), heard }
    } finally {
      server.closeAllConnections()
      server.close()
    }
  }

  it('is judged by the guards, and refused before every listener', async () => {
    expect(await tunnel('near')).toEqual({ answer: 'HTTP/1.1 200 Connected\r\n\r\ntunnel first', heard: 1 })
    const far = await tunnel('far')
    expect(far.heard).toBe(0)
    expect(far.answer).toMatch(/^HTTP\/1\.1 403 [\s\S]*"code":"ADDRESS_NOT_ALLOWED"/)
  })
})

/** Listeners that echo, with streams or with requests and responses. */
const listeners: Readonly<Record<string, (server: Http2Server, heard: string[]) => void>> = {
  'that listens for `stream`': (server, heard) => {
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      heard.push(String(headers[':method']))
      if (headers[':method'] !== 'CONNECT') {
        stream.respond({ ':status': 204 }, { endStream: true })
        return
      }
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    })
  },
  'that listens for `connect`': (server, heard) => {
    server.on('request', (req: Http2ServerRequest, res: Http2ServerResponse) => {
      heard.push(req.method)
      res.writeHead(204).end()
    })
    server.on('connect', (req: Http2ServerRequest, res: Http2ServerResponse) => {
      heard.push(req.method)
      const { portcullis } = req as Http2ServerRequest & { portcullis?: { appId?: string } }
      if (portcullis?.appId === undefined) throw new Error('the guards have left nothing')
      res.writeHead(200)
      req.stream.pipe(req.stream)
    })
  },
}

const pageGuards = (from: PolicyStore, sink = memoryAuditSink()): RequestHandler[] => {
  const shared = { policies: createPolicySource({ store: from }), appId: appIdFrom({ query: 'app' }) }
  return [auditAccess({ ...shared, sink }), domainProtect(shared)]
}

async function serving<T>(
  set: (server: Http2Server) => void,
  run: (ask: (headers: Record<string, string>) => Promise<string>, origin: string) => Promise<T>,
): Promise<T> {
  const server = createHttp2Server({ settings: { enableConnectProtocol: true } })
  set(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = connect(origin)
  await once(client, 'remoteSettings')
  /** The echo of a word, or the status and the code of the refusal. */
  const ask = async (headers: Record<string, string>): Promise<string> => {
    const stream = client.request({ ':method': 'CONNECT', ':protocol': 'websocket', ...headers })
    const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
    const status = answer[':status']
    if (status === 200) stream.end('hello')
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    // A refused caller does not have to end its side.
    await once(stream, 'close')
    const text = Buffer.concat(chunks).toString()
    return status < 400 ? `${status} ${text}` : `${status} ${(JSON.parse(text) as { code: string }).code}`
  }
  try {
    return await run(ask, origin)
  } finally {
    client.close()
    await new Promise((resolve) => server.close(resolve))
  }
}

describe.each(Object.entries(listeners))('extended CONNECT of HTTP/2 to a server %s', (_how, echo) => {
  it.each(stores)('is judged by a policy %s, and refused before every listener', async (_where, from) => {
    for (const order of ['ahead', 'behind']) {
      const heard: string[] = []
      await serving(
        (server) => {
          if (order === 'behind') echo(server, heard)
          guardUpgrade(server, { guards: pageGuards(from) })
          if (order === 'ahead') echo(server, heard)
        },
        async (ask) => {
          const to = (app: string) => ({ ':path': `/socket?app=${app}` })
          expect(await ask({ ...to('page'), origin: ORIGIN })).toBe('200 hello')
          expect(await ask({ ...to('held'), origin: ORIGIN })).toBe('200 hello')
          expect(heard).toEqual(['CONNECT', 'CONNECT'])
          expect(await ask({ ...to('page'), origin: EVIL })).toBe('403 ORIGIN_NOT_ALLOWED')
          expect(await ask({ ...to('held'), origin: EVIL })).toBe('403 ORIGIN_NOT_ALLOWED')
          expect(await ask({ ...to('nobody'), origin: ORIGIN })).toBe('401 APP_UNKNOWN')
          expect(heard).toHaveLength(2)
        },
      )
    }
  })

  it('may be judged several times, with shared facts', async () => {
    const ids: unknown[] = []
    const heard: string[] = []
    const note: RequestHandler = (req, _res, next) => {
      ids.push(req.portcullis?.requestId)
      next()
    }
    const shared = { policies: createPolicySource({ store: slow }), appId: appIdFrom({ query: 'app' }) }
    await serving(
      (server) => {
        guardUpgrade(server, { guards: [ipWhitelist(shared), note] })
        guardUpgrade(server, { guards: [domainProtect(shared), note] })
        echo(server, heard)
      },
      async (ask) => {
        expect(await ask({ ':path': '/?app=both', origin: ORIGIN })).toBe('200 hello')
        expect(ids).toEqual([expect.any(String), ids[0]])
        expect(await ask({ ':path': '/?app=both', origin: EVIL })).toBe('403 ORIGIN_NOT_ALLOWED')
        expect(await ask({ ':path': '/?app=elsewhere', origin: ORIGIN })).toBe('403 ADDRESS_NOT_ALLOWED')
        expect(heard).toEqual(['CONNECT'])
      },
    )
  })

  it('does not crash the process if the caller resets the stream while a guard waits', async () => {
    const heard: string[] = []
    let over = 0
    const waits: RequestHandler = (_req, res, next) => {
      res.once('close', () => {
        over += 1
        setTimeout(next, 5)
      })
    }
    await serving(
      (server) => {
        guardUpgrade(server, { guards: waits })
        guardUpgrade(server, { guards: ipWhitelist({ policies: createPolicySource({ store }) }) })
        echo(server, heard)
      },
      async (_ask, origin) => {
        const client = connect(origin)
        const stream = client.request({
          ':method': 'CONNECT',
          ':protocol': 'websocket',
          ':path': '/',
          'x-app-id': 'near',
        })
        stream.on('error', () => undefined)
        setTimeout(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR), 50)
        while (over === 0) await new Promise((resolve) => setTimeout(resolve, 5))
        await new Promise((resolve) => setTimeout(resolve, 20))
        client.close()
      },
    )
    expect(heard).toEqual([])
  })

  it('leaves requests to the guards of `request`, and answers errors of guards', async () => {
    const heard: string[] = []
    await serving(
      (server) => {
        const fails: RequestHandler = (_req, _res, next) =>
          next(Object.assign(new Error('no'), { status: 418 }))
        guardUpgrade(server, { guards: fails })
        echo(server, heard)
      },
      async (ask, origin) => {
        expect(await ask({ ':path': '/' })).toBe('418 undefined')
        const client = connect(origin)
        const [answer] = (await once(client.request({ ':path': '/' }).end(), 'response')) as [
          { ':status': number },
        ]
        client.close()
        expect([answer[':status'], heard]).toEqual([204, ['GET']])
      },
    )
  })

  it('is in the audit, whether refused or not', async () => {
    const sink = memoryAuditSink()
    await serving(
      (server) => {
        guardUpgrade(server, { guards: pageGuards(store, sink) })
        echo(server, [])
      },
      async (ask) => {
        await ask({ ':path': '/?app=page', origin: EVIL })
        await ask({ ':path': '/?app=page', origin: ORIGIN })
        await ask({ ':path': '/?app=held', origin: ORIGIN })
        const operations = () => sink.events().filter(({ kind }) => kind === 'operation')
        while (operations().length < 3) await new Promise((resolve) => setTimeout(resolve, 5))
        expect(operations()).toMatchObject([
          { appId: 'page', outcome: 'refused', status: 403 },
          { appId: 'page', outcome: 'answered', status: 200 },
          { appId: 'held', outcome: 'answered', status: 200 },
        ])
      },
    )
  })
})
