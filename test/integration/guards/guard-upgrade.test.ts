import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { createPolicySource, guardUpgrade, ipWhitelist, memoryStore } from 'portcullis'
import { exchange } from '../../support/raw-exchange.ts'
import { APP } from '../../support/protected-app.ts'

const policy = { appId: APP, ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8'] } }
const HEAD = `Host: a\r\nX-App-Id: ${APP}\r\n`
const REQUEST = `GET / HTTP/1.1\r\n${HEAD}\r\n`
const UPGRADE = `GET /socket HTTP/1.1\r\n${HEAD}Connection: Upgrade\r\nUpgrade: echo\r\n\r\n`

/** What a caller gets for these bytes, and how many upgrades reached the server. */
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
  it('of its own is passed on', async () => {
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
    'behind a request %s closes it behind that answer, and ends no process',
    async (_name, listener) => {
      for (const requests of [1, 3]) {
        const { answer, upgrades } = await ask(listener, REQUEST.repeat(requests) + UPGRADE)
        expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(requests)
        expect({ upgrades, switched: answer.includes('switched') }).toEqual({ upgrades: 0, switched: false })
      }
    },
  )

  it('behind a request whose handler has ended the connection ends no process', async () => {
    const { upgrades } = await ask(
      (_req, res) => void setTimeout(() => res.destroy(), 20),
      REQUEST + UPGRADE,
    ).catch(() => ({ upgrades: 0 }))
    expect(upgrades).toBe(0)
  })
})
