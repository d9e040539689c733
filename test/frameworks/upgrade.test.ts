import { createServer, type IncomingMessage, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import express from 'express'
import {
  bodyParsers,
  ConfigError,
  createPolicySource,
  domainProtect,
  guardUpgrade,
  ipWhitelist,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  auditAccess,
  appIdFrom,
  protectServer,
  serverOnly,
  type AppKey,
  type RequestHandler,
} from 'portcullis'
import type { AuditEvent } from 'portcullis/audit'
import type { PolicyStore } from 'portcullis/store'
import { signRequest } from 'portcullis/client'
import { WebSocket, WebSocketServer } from './modules.ts'
import { exchange } from '../support/raw-exchange.ts'

const ORIGIN = 'https://shop.example'
const KEY: AppKey = { id: 'k', algorithm: 'hmac-sha256', secret: Buffer.alloc(32, 7).toString('base64') }
const enforce = { mode: 'enforce' } as const
const store = memoryStore([
  { policy: { appId: 'page', domainProtect: { ...enforce, domains: [ORIGIN] }, auditAccess: enforce } },
  { policy: { appId: 'server', serverOnly: enforce, auditAccess: enforce }, keys: [KEY] },
  { policy: { appId: 'far', ipWhitelist: { ...enforce, ranges: ['203.0.113.0/24'] }, auditAccess: enforce } },
])
const sink = memoryAuditSink()
/** A source that is always asynchronous at first. */
const slowly: PolicyStore = {
  read: (appId) => new Promise((resolve) => setTimeout(() => resolve(store.read(appId)), 30)),
}

interface Setting {
  readonly server: Server
  readonly port: number
  readonly connections: Set<Socket>
}
const open: Setting[] = []
afterEach(async () => {
  for (const { server, connections } of open.splice(0)) {
    for (const socket of connections) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function serving(set: (server: Server) => void): Promise<Setting> {
  const server = createServer((_req, res) => res.end('a request'))
  const connections = new Set<Socket>()
  server.on('connection', (socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  set(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const setting = { server, port: (server.address() as AddressInfo).port, connections }
  open.push(setting)
  return setting
}

const guardsOf = (policies = createPolicySource({ store })) => {
  const shared = { policies, appId: appIdFrom({ query: 'app' }) }
  return {
    page: [auditAccess({ ...shared, sink }), domainProtect(shared)],
    server: [auditAccess({ ...shared, sink }), serverOnly({ ...shared, nonces: memoryNonces() })],
    far: [auditAccess({ ...shared, sink }), ipWhitelist(shared)],
  }
}

/** Echoes messages with a prefix. */
function echo(server: Server, word = 'echo'): void {
  new WebSocketServer({ server }).on('connection', (socket, req) => {
    socket.on('message', (data: Buffer) =>
      socket.send(`${word} ${data.toString()} ${String((req as Guarded).portcullis?.appId)}`),
    )
  })
}
type Guarded = IncomingMessage & { portcullis?: { appId?: string } }

/** The result for a WebSocket client: its echo, or the status and the code of the refusal. */
function talk(port: number, path: string, headers: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers })
    socket.on('open', () => socket.send('hello'))
    socket.on('message', (data: Buffer) => {
      resolve(data.toString())
      socket.close()
    })
    socket.on('unexpected-response', (_req: unknown, response: IncomingMessage) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const { code } = JSON.parse(Buffer.concat(chunks).toString()) as { code: string }
        resolve(`${response.statusCode} ${code}`)
      })
    })
    socket.on('error', (error: Error) => resolve(error.message))
  })
}

const head = (path: string, lines: readonly string[] = []): string =>
  `${[
    `GET ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...lines,
  ].join('\r\n')}\r\n\r\n`

describe.each([
  ['from memory', undefined],
  ['after a look at the store', slowly],
])('guardUpgrade(), by a policy %s', (_where, from) => {
  const guards = (name: keyof ReturnType<typeof guardsOf>) =>
    guardsOf(from && createPolicySource({ store: from }))[name]

  it.each([['ahead of'], ['behind']])('runs before listeners that are added %s it', async (order) => {
    const { port } = await serving((server) => {
      if (order === 'behind') echo(server)
      guardUpgrade(server, { guards: guards('page') })
      if (order === 'ahead of') echo(server)
    })
    expect(await talk(port, '/?app=page', { origin: ORIGIN })).toBe('echo hello page')
    expect(await talk(port, '/?app=page', { origin: 'https://evil.example' })).toBe('403 ORIGIN_NOT_ALLOWED')
    expect(await talk(port, '/?app=page', { origin: 'null' })).toBe('403 ORIGIN_NOT_ALLOWED')
    expect(await talk(port, '/?app=nobody', { origin: ORIGIN })).toBe('401 APP_UNKNOWN')
    expect(await talk(port, '/', { origin: ORIGIN })).toBe('401 APP_UNIDENTIFIED')
  })

  it('judges addresses, and signatures of servers', async () => {
    const far = await serving((server) => {
      echo(server)
      guardUpgrade(server, { guards: guards('far') })
    })
    expect(await talk(far.port, '/?app=far')).toBe('403 ADDRESS_NOT_ALLOWED')
    const { port } = await serving((server) => {
      echo(server)
      guardUpgrade(server, { guards: guards('server') })
    })
    const url = `http://127.0.0.1:${port}/?app=server`
    const signed = await signRequest({ method: 'GET', url }, { keyId: KEY.id, secret: KEY.secret })
    expect(await talk(port, '/?app=server', signed)).toBe('echo hello server')
    expect(await talk(port, '/?app=server', signed)).toBe('401 SIGNATURE_REPLAYED')
    expect(await talk(port, '/?app=server')).toBe('401 SIGNATURE_REQUIRED')
  })

  it('answers a refusal on the connection, and closes it; no listener is called', async () => {
    const heard: string[] = []
    const { port, connections } = await serving((server) => {
      server.on('upgrade', () => heard.push('one'))
      guardUpgrade(server, { guards: guards('page') })
      server.on('upgrade', () => heard.push('two'))
    })
    const answer = await exchange(port, head('/?app=page', ['Origin: https://evil.example']))
    expect(answer).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/)
    expect(answer).toMatch(/\r\nConnection: close\r\n/i)
    expect(answer).toMatch(/\r\n\r\n\{"type":"urn:problem-type:portcullis:origin-not-allowed".*\}$/)
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
    expect(heard).toEqual([])
    while (connections.size > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  })

  it('lets exactly one of several listeners answer, and refuses once for two guards', async () => {
    const { port } = await serving((server) => {
      const servers = ['/one', '/two'].map((path) => {
        const of = new WebSocketServer({ noServer: true })
        of.on('connection', (socket) => {
          socket.on('message', () => socket.send(path))
        })
        return [path, of] as const
      })
      for (const [path, of] of servers) {
        server.on('upgrade', (req, socket, first) => {
          if (!req.url?.startsWith(path)) return
          of.handleUpgrade(req, socket, first, (ready) => {
            ;(of as unknown as NodeJS.EventEmitter).emit('connection', ready, req)
          })
        })
      }
      guardUpgrade(server, { guards: guards('page') })
      guardUpgrade(server, { guards: guards('page') })
    })
    expect(await talk(port, '/one?app=page', { origin: ORIGIN })).toBe('/one')
    expect(await talk(port, '/two?app=page', { origin: ORIGIN })).toBe('/two')
    expect(await talk(port, '/two?app=page', { origin: 'https://evil.example' })).toBe(
      '403 ORIGIN_NOT_ALLOWED',
    )
  })

  it('passes on the bytes that arrived with the head', async () => {
    const heads: string[] = []
    const { port } = await serving((server) => {
      server.on('upgrade', (_req, socket, first: Buffer) => {
        heads.push(first.toString())
        socket.once('data', (data: Buffer) => {
          heads.push(data.toString())
          socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\nbye')
        })
      })
      guardUpgrade(server, { guards: guards('page') })
    })
    const socket = connect(port, '127.0.0.1')
    socket.write(`${head('/?app=page', [`Origin: ${ORIGIN}`])}first`)
    setTimeout(() => socket.write('second'), 100)
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).toString()).toMatch(/bye$/)
    expect(heads.join('')).toBe('firstsecond')
  })

  it('leaves an upgrade without a listener as a request', async () => {
    const { port } = await serving((server) => guardUpgrade(server, { guards: guards('page') }))
    expect(
      await exchange(port, head('/?app=page').replace('Connection: Upgrade', 'Connection: Upgrade, close')),
    ).toMatch(/a request$/)
  })

  it('closes the connection of an upgrade whose last listener was removed, or whose caller has disconnected', async () => {
    const listener = (): void => undefined
    let heard = 0
    const { port, connections } = await serving((server) => {
      server.on('upgrade', listener).on('upgrade', () => (heard += 1))
      const waits: RequestHandler = (req, _res, next) => {
        if (req.url?.includes('gone') === true) req.socket.once('close', () => setTimeout(next, 5))
        else {
          server.removeAllListeners('upgrade')
          setTimeout(next, 5)
        }
      }
      guardUpgrade(server, { guards: [waits, ...guards('page')] })
    })
    const gone = connect(port, '127.0.0.1')
    gone.write(head('/gone?app=page', [`Origin: ${ORIGIN}`]))
    setTimeout(() => gone.resetAndDestroy(), 50)
    await new Promise((resolve) => gone.once('close', resolve))
    while (connections.size > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await exchange(port, head('/?app=page', [`Origin: ${ORIGIN}`])).catch(() => '')).toBe('')
    while (connections.size > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(heard).toBe(0)
  })
})

describe('guardUpgrade()', () => {
  it('answers an error of a guard with its status', async () => {
    const fails: RequestHandler = (_req, _res, next) => next(Object.assign(new Error('no'), { status: 418 }))
    const { port } = await serving((server) => {
      echo(server)
      guardUpgrade(server, { guards: fails })
    })
    expect(await exchange(port, head('/'))).toMatch(/^HTTP\/1\.1 418 [\s\S]*"status":418\}$/)
  })

  it('records every refused upgrade in the audit, and every accepted one when it is closed', async () => {
    const { port } = await serving((server) => {
      echo(server)
      guardUpgrade(server, { guards: guardsOf().page })
    })
    const before = sink.events().length
    await talk(port, '/?app=page', { origin: 'https://evil.example' })
    await talk(port, '/?app=page', { origin: ORIGIN })
    const isOpen = ({ kind, outcome }: AuditEvent & { outcome?: string }): boolean =>
      kind === 'operation' && outcome === 'answered'
    while (!sink.events().slice(before).some(isOpen)) await new Promise((resolve) => setTimeout(resolve, 5))
    const operations = sink
      .events()
      .slice(before)
      .filter(({ kind }) => kind === 'operation')
    expect(operations).toMatchObject([
      { appId: 'page', outcome: 'refused', status: 403 },
      { appId: 'page', outcome: 'answered' },
    ])
  })

  it.each([{}, { guards: [] }, { guards: [1] }, { guards: 'all' }, { guard: [] }])(
    'refuses the options %j',
    (given) => {
      expect(() => guardUpgrade(createServer(), given as never)).toThrow(ConfigError)
    },
  )
})

describe('protectServer()', () => {
  it('leaves upgrades to guardUpgrade(), and judges them as requests if there is no listener', async () => {
    const policies = createPolicySource({ store })
    const off = { mode: 'off' }
    await store.write(
      {
        policy: {
          appId: 'all',
          serverOnly: off,
          ipWhitelist: off,
          returnUrlGuard: off,
          regionPin: off,
          auditAccess: enforce,
          domainProtect: { ...enforce, domains: [ORIGIN] },
        },
      },
      0,
    )
    const options = {
      policies,
      sink,
      nonces: memoryNonces(),
      here: 'london',
      country: () => 'DE',
      returnUrl: { query: 'to', optional: true },
      appId: appIdFrom({ query: 'app' }),
    } as const
    const app = express().use(
      bodyParsers() as express.RequestHandler,
      (_req: unknown, res: express.Response) => void res.end('reached'),
    )
    const server = createServer(protectServer(app, options))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    open.push({ server, port, connections: new Set() })
    const closing = (origin: string): string =>
      head('/?app=all', [`Origin: ${origin}`]).replace('Connection: Upgrade', 'Connection: Upgrade, close')
    expect(await exchange(port, closing(ORIGIN))).toMatch(/reached/)
    expect(await exchange(port, closing('https://evil.example'))).toMatch(/^HTTP\/1\.1 403 /)
    echo(server)
    guardUpgrade(server, { guards: guardsOf().page })
    expect(await talk(port, '/?app=page', { origin: ORIGIN })).toBe('echo hello page')
    expect(await talk(port, '/?app=page', { origin: 'https://evil.example' })).toBe('403 ORIGIN_NOT_ALLOWED')
  })
})
