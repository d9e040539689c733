import { createServer, type RequestListener, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import {
  auditAccess,
  ConfigError,
  createPolicySource,
  guardUpgrade,
  ipWhitelist,
  memoryAuditSink,
  memoryStore,
  type RequestHandler,
  type PolicyInput,
} from 'portcullis'
import { exchange } from '../../support/raw-exchange.ts'
import { APP } from '../../support/protected-app.ts'
import { forTurns } from '../../support/turns.ts'

const policy: PolicyInput = { appId: APP, ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8'] } }
const HEAD = `Host: a\r\nX-App-Id: ${APP}\r\n`
const REQUEST = `GET / HTTP/1.1\r\n${HEAD}\r\n`
const UPGRADE = `GET /socket HTTP/1.1\r\n${HEAD}Connection: Upgrade\r\nUpgrade: echo\r\n\r\n`

/** The answer to these bytes, and the number of upgrades that reached the server. */
async function ask(listener: RequestListener, text: string): Promise<{ answer: string; upgrades: number }> {
  const server = createServer(listener)
  let upgrades = 0
  server.on('upgrade', (_req, socket) => {
    upgrades += 1
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nswitched')
  })
  const policies = createPolicySource({ store: memoryStore([{ policy }]) })
  guardUpgrade(server, { guards: ipWhitelist({ policies }) })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return { answer: await exchange((server.address() as AddressInfo).port, text), upgrades }
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

describe('an upgrade on a connection', () => {
  it('without a pending request is passed on', async () => {
    const { answer } = await ask((_req, res) => res.end('plain'), UPGRADE)
    expect(answer).toContain('switched')
  })

  const listeners: Readonly<Record<string, RequestListener>> = {
    'that is answered at once': (_req, res) => res.end('plain'),
    'that is answered later': (_req, res) => void setTimeout(() => res.end('plain'), 50),
    'that is answered in parts': (_req, res) => {
      res.write('pl')
      setTimeout(() => res.end('ain'), 50)
    },
  }
  it.each(Object.entries(listeners))(
    'after a request %s closes it after that answer, and does not crash the process',
    async (_name, listener) => {
      for (const requests of [1, 3]) {
        const { answer, upgrades } = await ask(listener, REQUEST.repeat(requests) + UPGRADE)
        expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(requests)
        expect({ upgrades, switched: answer.includes('switched') }).toEqual({ upgrades: 0, switched: false })
      }
    },
  )

  it('after a request whose handler closed the connection does not crash the process', async () => {
    const { upgrades } = await ask(
      (_req, res) => void setTimeout(() => res.destroy(), 20),
      REQUEST + UPGRADE,
    ).catch(() => ({ upgrades: 0 }))
    expect(upgrades).toBe(0)
  })
})

/** A server whose upgrades these guards judge, and the sockets of admitted ones. */
async function guarded<T>(
  guards: readonly RequestHandler[],
  run: (server: Server, port: number, passed: Socket[]) => Promise<T>,
): Promise<T> {
  const server = createServer((_req, res) => res.end('a request'))
  const passed: Socket[] = []
  server.on('upgrade', (_req, socket: Socket) => {
    passed.push(socket)
    socket.write('switched')
  })
  guardUpgrade(server, { guards })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await run(server, (server.address() as AddressInfo).port, passed)
  } finally {
    for (const socket of passed) socket.destroy()
    server.closeAllConnections()
    server.close()
  }
}

const passes: RequestHandler = (_req, _res, next) => next()

/** A guard that waits until it is released. */
function waiting(): { guard: RequestHandler; begun: Promise<void>; goOn: () => void } {
  let [begin, goOn] = [() => undefined as void, () => undefined as void]
  const begun = new Promise<void>((resolve) => (begin = resolve))
  const told = new Promise<void>((resolve) => (goOn = resolve))
  const guard: RequestHandler = (_req, _res, next) => {
    begin()
    void told.then(() => next())
  }
  return { guard, begun, goOn: () => goOn() }
}

/** A connection that has requested the upgrade, and what it receives. */
function upgrading(port: number): { socket: Socket; got: () => string; closed: Promise<void> } {
  const socket = connect(port, '127.0.0.1', () => socket.write(UPGRADE))
  let text = ''
  socket.on('data', (data) => (text += data.toString())).on('error', () => undefined)
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  return { socket, got: () => text, closed }
}

const policies = (ranges: readonly string[]) =>
  createPolicySource({
    store: memoryStore([
      {
        policy: {
          appId: APP,
          ipWhitelist: { mode: 'enforce', ranges },
          auditAccess: { mode: 'enforce', onSinkFailure: 'allow' },
        },
      },
    ]),
  })

describe('guardUpgrade()', () => {
  it('answers the refusal of any guard and closes the connection: no listener is called', async () => {
    const refuses = ipWhitelist({ policies: policies(['203.0.113.0/24']) })
    for (const guards of [[refuses], [passes, passes, refuses]]) {
      await guarded(guards, async (_server, port, passed) => {
        const answer = await exchange(port, UPGRADE)
        expect(answer).toMatch(/^HTTP\/1\.1 403 [^]*ADDRESS_NOT_ALLOWED/)
        expect(passed).toEqual([])
      })
    }
  })

  it('answers an error of a guard, and calls no listener', async () => {
    const fails: RequestHandler = (_req, _res, next) => next(new Error('of a guard'))
    await guarded([fails, passes], async (_server, port, passed) => {
      const answer = await exchange(port, UPGRADE)
      expect(answer).toMatch(/^HTTP\/1\.1 500 /)
      expect(answer).not.toContain('of a guard')
      expect(passed).toEqual([])
    })
  })

  it('passes on the socket as Node does: without a response on it, and without listeners for errors', async () => {
    await guarded([passes], async (_server, port, passed) => {
      const { socket, got, closed } = upgrading(port)
      await forTurns(closed, 200)
      expect(got()).toBe('switched')
      const [theirs] = passed
      expect(theirs?.listenerCount('error')).toBe(0)
      expect(Reflect.get(theirs as Socket, '_httpMessage') ?? null).toBeNull()
      socket.destroy()
      await closed
    })
  })

  it('closes the connection if the last listener was removed while the guards were judging', async () => {
    const { guard, begun, goOn } = waiting()
    await guarded([guard], async (server, port) => {
      const { got, closed } = upgrading(port)
      await begun
      server.removeAllListeners('upgrade')
      goOn()
      await closed
      expect(got()).toBe('')
    })
  })

  it('calls no listener and does not crash the process if the caller resets the connection meanwhile', async () => {
    const { guard, begun, goOn } = waiting()
    await guarded([guard], async (server, port, passed) => {
      const gone = new Promise<void>((resolve) =>
        server.once('connection', (theirs) => theirs.once('close', () => resolve())),
      )
      const { socket } = upgrading(port)
      await begun
      socket.resetAndDestroy()
      await gone
      goOn()
      await new Promise((resolve) => setImmediate(resolve))
      expect(passed).toEqual([])
    })
  })

  it('is recorded once, when its connection closes', async () => {
    const sink = memoryAuditSink()
    await guarded(
      [auditAccess({ policies: policies(['127.0.0.0/8']), sink })],
      async (_server, port, passed) => {
        const { got, closed } = upgrading(port)
        while (got() === '') await new Promise((resolve) => setTimeout(resolve, 5))
        expect([passed.length, sink.events()]).toEqual([1, []])
        passed[0]?.destroy()
        await closed
        while (sink.events().length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
        await forTurns(new Promise(() => undefined), 60)
        expect(sink.events()).toHaveLength(1)
      },
    )
  })

  it('requires at least one guard', () => {
    for (const guards of [[], undefined, ['ipWhitelist']]) {
      expect(() => guardUpgrade(createServer(), { guards: guards as never })).toThrow(ConfigError)
    }
  })
})
