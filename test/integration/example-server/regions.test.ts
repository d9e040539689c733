import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { searchTraces } from 'portcullis/audit'
import { signedFetch } from 'portcullis/client'
import {
  failToStart,
  killExampleProcess,
  printedSecret,
  startExampleProcess,
  type ExampleProcess,
} from '../../support/example-process.ts'
import { ADA, arrivedCode, CONNECT, json, SHOP, Visitor } from '../../support/example-server.ts'
import { startRedis, until, type RedisServer } from '../../support/redis.ts'

const NAMES = ['london', 'frankfurt', 'dallas'] as const
type Name = (typeof NAMES)[number]

const european = {
  ...ADA,
  country: 'FR',
  email: 'zoe.zq91@mail-zq91.example',
  firstname: 'Zoezq92',
  surname: 'Dupontzq93',
  image: 'https://images-zq94.example/zq94.png',
}
const texan = {
  ...ADA,
  country: 'US',
  email: 'bob.zq95@mail-zq95.example',
  firstname: 'Bobzq96',
  surname: 'Smithzq97',
}
const CANARIES = [european, texan].flatMap(({ email, firstname, surname }) => [email, firstname, surname])
const METRICS_TOKEN = 'figures-of-the-regions'

let folder: string
const servers = {} as Record<Name, RedisServer>
const clients = {} as Record<Name, Redis>
let environment: Record<string, string>
let example: ExampleProcess

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portcullis-example-regions-'))
  for (const name of NAMES) {
    const dir = await mkdtemp(join(folder, `${name}-`))
    const files = ['--appendonly', 'yes', '--appendfsync', 'always', '--aof-use-rdb-preamble', 'no']
    servers[name] = await startRedis({ args: ['--dir', dir, ...files] })
    clients[name] = new Redis(servers[name].url, { disconnectTimeout: 50 }).on('error', () => undefined)
  }
  environment = {
    REDIS_LONDON_URL: servers.london.url,
    REDIS_FRANKFURT_URL: servers.frankfurt.url,
    REDIS_DALLAS_URL: servers.dallas.url,
    SECRET_KEY: Buffer.alloc(32, 6).toString('base64'),
    METRICS_TOKEN,
  }
  example = await startExampleProcess(environment)
})
afterAll(async () => {
  await killExampleProcess(example)
  for (const name of NAMES) {
    clients[name]?.disconnect()
    await servers[name]?.stop()
  }
  await rm(folder, { recursive: true, force: true })
})

/** A visitor on a page of a sign-in that an app requested. */
async function visitorAt(page: string): Promise<Visitor> {
  const send = signedFetch({
    keyId: 'demo-server-1',
    secret: printedSecret(example) ?? '',
    appId: 'demo-server',
    origin: SHOP,
  })
  const answer = await send(`${example.url}/auth/v2/connect`, json(CONNECT))
  const { gateway } = (await answer.json()) as { gateway: string }
  const visitor = new Visitor()
  await visitor.open(`${gateway}/${page}`)
  return visitor
}

async function signUp(profile: typeof ADA): Promise<Visitor> {
  const visitor = await visitorAt('sign-up')
  let answer = await visitor.submit('sign-up', profile)
  if (answer.status === 421) {
    await visitor.follow(await visitor.submit('sign-up/begun'))
    answer = await visitor.submit('sign-up', profile)
  }
  await visitor.follow(answer)
  const code = await arrivedCode(example, profile.email)
  await visitor.follow(await visitor.submit('confirm', { code }))
  return visitor
}

async function keysAt(name: Name, part: string): Promise<readonly string[]> {
  return (await clients[name].keys('*')).filter((key) => key.includes(part))
}

async function ready(): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${example.url}/readyz`)
  return { status: answer.status, body: await answer.json() }
}

/** The states of the locations in the console. */
async function seenInConsole(): Promise<Readonly<Record<string, string>>> {
  const [, token = ''] = /\(token ([\w-]{43})\)/.exec(example.said.stdout) ?? []
  const answer = await fetch(`${example.url}/console/api/regions`, {
    headers: { authorization: `Bearer ${token}` },
  })
  const { locations } = (await answer.json()) as { locations: { location: string; condition: string }[] }
  return Object.fromEntries(locations.map(({ location, condition }) => [location, condition]))
}

describe('the example server with a Redis in each location', () => {
  it('stores each person, with keys and index, in the locations of their citizenship, and nothing in plain text', async () => {
    await signUp(european)
    await signUp(texan)
    for (const name of ['london', 'frankfurt'] as const) {
      // The record, the key of the person, and the index of the email address.
      expect(await keysAt(name, ':europe_')).toHaveLength(3)
      expect(await keysAt(name, ':world_')).toHaveLength(0)
    }
    expect(await keysAt('dallas', ':world_')).toHaveLength(3)
    expect(await keysAt('dallas', 'europe')).toHaveLength(0)
    const [id = ''] = (await keysAt('london', ':europe_')).filter((key) => !/_(?:key|email):/.test(key))
    const local = id.split(':europe_')[1] ?? ''
    expect(local).not.toBe('')
    expect(await searchTraces([folder], CANARIES)).toEqual([])
    const where = (await searchTraces([folder], [local])).map((trace) => JSON.stringify(trace))
    expect(where.length).toBeGreaterThan(0)
    expect(where.filter((trace) => trace.includes('dallas-'))).toEqual([])
  })

  it('finds a person by email address, and refuses the address a second time, in any jurisdiction', async () => {
    const visitor = await visitorAt('sign-in')
    const { status } = await visitor.submit('sign-in', {
      email: european.email.toUpperCase(),
      password: european.password,
    })
    expect(status).toBe(303)
    const again = await visitorAt('sign-in')
    const wrong = await again.submit('sign-in', { email: european.email, password: 'not the password' })
    expect(wrong.status).toBe(401)
    const before = await keysAt('dallas', ':world_')
    // The email says that an account exists, and contains no code.
    const taken = await visitorAt('sign-up')
    await taken.submit('sign-up', { ...texan, email: european.email })
    expect(await keysAt('dallas', ':world_')).toEqual(before)
  })

  it('works without Frankfurt, reports it in /readyz and the metrics, and reports when it is back', async () => {
    expect(await ready()).toEqual({ status: 200, body: { ready: true } })
    expect(await seenInConsole()).toEqual({ london: 'current', frankfurt: 'current', dallas: 'current' })
    await servers.frankfurt.kill()
    await until('the console says so', async () => (await seenInConsole())['frankfurt'] === 'away')
    await until('it is noticed', async () => {
      const { status, body } = await ready()
      return status === 200 && JSON.stringify(body) === '{"ready":true,"away":["frankfurt"]}'
    })
    const figures = await fetch(`${example.url}/metrics`, {
      headers: { authorization: `Bearer ${METRICS_TOKEN}` },
    })
    const text = await figures.text()
    expect(text).toContain('portcullis_location_up{jurisdiction="europe",location="frankfurt"} 0')
    expect(text).toContain('portcullis_location_up{jurisdiction="europe",location="london"} 1')
    const visitor = await visitorAt('sign-in')
    const { email, password } = european
    expect((await visitor.submit('sign-in', { email, password })).status).toBe(303)
  })

  it('starts and serves with an unreachable location', async () => {
    await killExampleProcess(example)
    example = await startExampleProcess(environment)
    await until('London answers', async () => {
      const { status, body } = await ready()
      return status === 200 && JSON.stringify(body) === '{"ready":true,"away":["frankfurt"]}'
    })
    const visitor = await visitorAt('sign-in')
    const { email, password } = european
    expect((await visitor.submit('sign-in', { email, password })).status).toBe(303)
    await servers.frankfurt.restart()
    await until('it is back', async () => JSON.stringify((await ready()).body) === '{"ready":true}')
  })

  it('logs once that a location is unreachable, even if its server only hangs, and who serves its people', async () => {
    const lines = (): readonly string[] =>
      example.said.stderr.split('\n').filter((line) => line.includes('Redis of '))
    const before = lines().length
    for (const name of ['london', 'dallas'] as const) {
      servers[name].pause()
      await until(`${name} is missed`, async () => {
        await ready()
        return lines().at(-1)?.includes(`${name} is unreachable`) === true
      })
      servers[name].resume()
      await until(`${name} is back`, async () => {
        await ready()
        return lines().at(-1)?.includes(`${name} is reachable`) === true
      })
    }
    expect(lines().slice(before)).toEqual([
      expect.stringMatching(/: its people are served by frankfurt reason="no answer"$/),
      expect.stringMatching(/Redis of london is reachable again$/),
      expect.stringMatching(/: requests that need it get 503 reason="no answer"$/),
      expect.stringMatching(/Redis of dallas is reachable again$/),
    ])
  })

  it('refuses Europeans with 503 while both of their locations are unreachable, and signs in others', async () => {
    await Promise.all([servers.london.kill(), servers.frankfurt.kill()])
    await until('it is noticed', async () =>
      JSON.stringify((await ready()).body).includes('"london","frankfurt"'),
    )
    const visitor = await visitorAt('sign-in')
    const { email, password } = european
    expect((await visitor.submit('sign-in', { email, password })).status).toBe(503)
    const other = await visitorAt('sign-in')
    const answer = await other.submit('sign-in', { email: texan.email, password: texan.password })
    // Their data is in Dallas, and this is the London instance.
    expect(answer.status).toBe(421)
    expect(await keysAt('dallas', 'europe')).toHaveLength(0)
    await Promise.all([servers.london.restart(), servers.frankfurt.restart()])
  })
})

describe('settings of the locations', () => {
  const url = 'redis://127.0.0.1:1'
  it.each([
    [{ REDIS_LONDON_URL: url }, 'REDIS_FRANKFURT_URL must be set, because REDIS_LONDON_URL is set'],
    [
      { REDIS_LONDON_URL: url, REDIS_FRANKFURT_URL: `${url}0`, REGION: 'dallas' },
      'REDIS_DALLAS_URL must be set, because REDIS_LONDON_URL is set',
    ],
    [
      { REDIS_LONDON_URL: url, REDIS_FRANKFURT_URL: url, REGION: 'london' },
      'REDIS_LONDON_URL and the URLs of the other locations must point to different servers',
    ],
    [{ REDIS_DALLAS_URL: 'http://x' }, 'REDIS_DALLAS_URL must be a URL such as redis://'],
  ] as [Record<string, string>, string][])(
    '%j are refused, with the name of the setting',
    async (given, message) => {
      const { said, code } = await failToStart(given)
      expect(code).toBe(1)
      expect(said.stderr).toContain(`Cannot start: ${message}`)
    },
  )
})
