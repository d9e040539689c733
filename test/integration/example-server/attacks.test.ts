import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { memoryStorage } from '../../../example-server/storage.ts'
import {
  ADA,
  CONNECT,
  json,
  shopServer,
  signUp,
  startExampleServer,
  Visitor,
  type ExampleServer,
} from '../../support/example-server.ts'
import { flood, usedHeap } from '../../support/anonymous-flood.ts'

let server: ExampleServer
let storage: ReturnType<typeof memoryStorage>
/** The number of stored keys, by kind. */
let kept: Map<string, number>

beforeEach(async () => {
  storage = memoryStorage()
  kept = new Map()
  for (const method of ['put', 'add', 'putEntry'] as const) {
    const original = storage[method] as (...args: unknown[]) => Promise<unknown>
    Object.assign(storage, {
      [method]: (key: string, ...args: unknown[]) => {
        const kind = key.slice(0, key.indexOf(':'))
        kept.set(kind, (kept.get(kind) ?? 0) + 1)
        return original(key, ...args)
      },
    })
  }
  server = await startExampleServer({ storage, trustProxy: ['127.0.0.1'] })
})
afterEach(() => server.close())

async function gateway(): Promise<string> {
  const response = await shopServer().send(`${server.url}/auth/v2/connect`, json(CONNECT))
  return ((await response.json()) as { gateway: string }).gateway
}

const signIn = { email: ADA.email, password: ADA.password }

/** Guesses passwords for Ada's address, from this network address. */
async function guess(times: number, address: string, device?: string): Promise<number[]> {
  const stranger = new Visitor()
  stranger.address = address
  stranger.device = device
  await stranger.open(`${server.url}/account/sign-in`)
  const page = stranger.page
  const statuses: number[] = []
  for (let count = 0; count < times; count += 1) {
    stranger.page = page
    statuses.push(
      (await stranger.submit('sign-in', { ...signIn, password: `a wrong password ${count}` })).status,
    )
  }
  return statuses
}

describe("wrong passwords for somebody else's account", () => {
  let owner: Visitor
  beforeEach(async () => {
    owner = await signUp(server, await gateway())
    await owner.submit('sign-out')
  })

  it('are refused from the eleventh on, without affecting the owner in a known browser or in another network', async () => {
    expect(await guess(12, '203.0.113.9')).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429])
    // The known browser works even in the network of the stranger.
    owner.address = '203.0.113.9'
    await owner.open(`${server.url}/account/sign-in`)
    expect((await owner.submit('sign-in', signIn)).status).toBe(303)
    const elsewhere = new Visitor()
    elsewhere.address = '198.51.100.7'
    await elsewhere.open(`${server.url}/account/sign-in`)
    expect((await elsewhere.submit('sign-in', signIn)).status).toBe(303)
  })

  it('from very many networks are limited too, and a known browser can still sign in', async () => {
    const statuses: number[] = []
    for (let network = 1; network <= 11; network += 1)
      statuses.push(...(await guess(10, `198.51.100.${network}`)))
    expect(statuses.filter((status) => status === 401).length).toBe(100)
    expect(statuses.slice(100)).toEqual(Array.from({ length: 10 }, () => 429))
    owner.address = '198.51.100.200'
    await owner.open(`${server.url}/account/sign-in`)
    expect((await owner.submit('sign-in', signIn)).status).toBe(303)
  })

  it('cannot be multiplied by a forged device cookie, or by that of another account', async () => {
    const other = await signUp(server, await gateway(), { ...ADA, email: 'eve@example.org' })
    await guess(10, '203.0.113.9')
    for (const device of [`${'A'.repeat(22)}.${'A'.repeat(43)}`, other.device])
      expect(await guess(1, '203.0.113.9', device)).toEqual([429])
  })

  it('of one IPv6 customer count together, whichever addresses of the /56 are used', async () => {
    await guess(10, '2001:db8:1:200::1')
    expect(await guess(1, '2001:db8:1:2ff::99')).toEqual([429])
    expect(await guess(1, '2001:db8:1:300::1')).toEqual([401])
  })
})

describe('emails to a stranger', () => {
  it('are limited to five per hour from one network and twenty in total, and the pages do not reveal it', async () => {
    await signUp(server, await gateway())
    const count = (): number => server.mails.filter(({ subject }) => subject.includes('new password')).length
    const ask = async (address: string): Promise<void> => {
      const visitor = new Visitor()
      visitor.address = address
      await visitor.open(`${server.url}/account/reset`)
      expect((await visitor.submit('reset', { email: ADA.email })).location).toBe('/account/new-password')
    }
    for (let tries = 0; tries < 8; tries += 1) await ask('203.0.113.9')
    expect(count()).toBe(5)
    for (let network = 1; network <= 30; network += 1) await ask(`198.51.100.${network}`)
    expect(count()).toBeLessThanOrEqual(20)
  })
})

describe('anonymous requests', () => {
  const FLOOD = Number(process.env['GATEWAY_FLOOD'] ?? 3_000)
  const PART = 1_000

  it(`store nothing, even ${FLOOD} of them: no session, no key, and people can still sign in`, async () => {
    const visitor = await signUp(server, await gateway())
    const heap = usedHeap()
    for (let sent = 0; sent < FLOOD; sent += PART) {
      // A link is valid for ten minutes, and an unused session ends.
      const page = await gateway()
      expect((await visitor.open(page)).html).toContain(ADA.email)
      const before = new Map(kept)
      const paths = [
        page,
        `${page}/sign-in`,
        `${page}/sign-up`,
        `${server.url}/account`,
        `${server.url}/`,
        `${server.url}/account/reset`,
      ]
      expect(await flood(server.url, paths, PART)).toEqual(new Map([['200', PART]]))
      expect(kept).toEqual(before)
    }
    // Memory contains at most the newest 20,000 audit events.
    expect(usedHeap() - heap).toBeLessThan(100e6)
    await visitor.submit('sign-out')
    await visitor.open(`${server.url}/account/sign-in`)
    expect((await visitor.submit('sign-in', signIn)).status).toBe(303)
  }, 3_600_000)

  it('to connect without a signature are limited per network, and do not affect an app that signs', async () => {
    const open = { appId: 'open', name: 'Open', serverOnly: { mode: 'off' }, ipWhitelist: { mode: 'off' } }
    const sections = {
      domainProtect: { mode: 'enforce', domains: ['https://open.example'] },
      returnUrlGuard: { mode: 'enforce', urls: ['https://open.example/'] },
      auditAccess: { mode: 'enforce' },
      regionPin: { mode: 'enforce' },
    }
    await server.change(open, sections)
    const connect = async (address: string): Promise<number> => {
      const body = { ...CONNECT, return_url: 'https://open.example/', code_challenge: 'A'.repeat(43) }
      const headers = { 'x-app-id': 'open', origin: 'https://open.example', 'x-forwarded-for': address }
      const response = await fetch(`${server.url}/auth/v2/connect`, json(body, headers))
      await response.arrayBuffer()
      return response.status
    }
    const statuses: number[] = []
    for (let sent = 0; sent < 305; sent += 5)
      statuses.push(...(await Promise.all(Array.from({ length: 5 }, () => connect('203.0.113.9')))))
    expect(statuses.filter((status) => status === 200).length).toBe(300)
    expect(statuses.filter((status) => status === 429).length).toBe(5)
    expect(await connect('203.0.113.10')).toBe(200)
    await gateway()
  })
})
