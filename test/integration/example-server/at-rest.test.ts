import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { searchTraces } from 'portcullis/audit'
import { rewriteRedis } from 'portcullis/redis'
import {
  killExampleProcess,
  printedSecret,
  startExampleProcess,
  type ExampleProcess,
} from '../../support/example-process.ts'
import { answerOf, arrivedCode, CONNECT, json, SHOP, signUp, Visitor } from '../../support/example-server.ts'
import { startRedis, type RedisServer } from '../../support/redis.ts'
import { signedFetch } from 'portcullis/client'

/** Values that occur only in the data of these people. Countries and languages are too short to search for. */
const CANARY = {
  email: 'canary.zq81@mail-zq81.example',
  password: 'horse zq82 battery staple',
  firstname: 'Firstzq83',
  surname: 'Lastzq84',
  image: 'https://images-zq85.example/zq85.png',
  country: 'FR',
  language: 'en',
}
const ADDRESS = '203.0.113.77'
const CANARIES = [
  CANARY.email,
  CANARY.email.toUpperCase(),
  CANARY.password,
  CANARY.firstname,
  CANARY.surname,
  CANARY.image,
  ADDRESS,
]

let folder: string
let redis: RedisServer
let client: Redis
let server: ExampleProcess

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portcullis-at-rest-'))
  redis = await startRedis({
    args: ['--dir', folder, '--appendonly', 'yes', '--appendfsync', 'always', '--aof-use-rdb-preamble', 'no'],
  })
  client = new Redis(redis.url, { disconnectTimeout: 50 })
  server = await startExampleProcess({
    REDIS_URL: redis.url,
    SECRET_KEY: Buffer.alloc(32, 5).toString('base64'),
    TRUST_PROXY: '127.0.0.1',
  })
})
afterAll(async () => {
  await killExampleProcess(server)
  client.disconnect()
  await redis.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Uses every feature that stores data of a person. */
async function wholeLife(): Promise<void> {
  const send = (path: string, init: RequestInit = {}): Promise<Response> =>
    signedFetch({
      keyId: 'demo-server-1',
      secret: printedSecret(server) ?? '',
      appId: 'demo-server',
      origin: SHOP,
    })(server.url + path, init)
  const connect = async (): Promise<string> =>
    ((await (await send('/auth/v2/connect', json(CONNECT))).json()) as { gateway: string }).gateway

  const visitor = await signUp(server, await connect(), CANARY)
  visitor.address = ADDRESS
  const { location } = await visitor.submit('consent', { email: 'yes', image: 'yes' })
  const { request_id, connect_id, code } = answerOf(location)
  const token = await send('/auth/v2/token', json({ request_id, connect_id, auth_code: code }))
  const { access_token } = (await token.json()) as { access_token: string }
  const me = await send('/auth/v2/me', { headers: { authorization: `Bearer ${access_token}` } })
  expect(await me.json()).toMatchObject({ user: { email: CANARY.email, firstname: CANARY.firstname } })

  // A person abandons a sign-up, and another one enters a wrong password.
  const beginner = new Visitor()
  beginner.address = ADDRESS
  await beginner.open(`${await connect()}/sign-up`)
  await beginner.follow(await beginner.submit('sign-up', { ...CANARY, email: `other.${CANARY.email}` }))
  const wrong = new Visitor()
  wrong.address = ADDRESS
  await wrong.open(await connect())
  expect((await wrong.submit('sign-in', { email: CANARY.email, password: 'wrong' })).status).toBe(401)

  await visitor.open(`${server.url}/account`)
  expect(visitor.page?.html).toContain(CANARY.surname)
  await visitor.open(`${server.url}/account/reset`)
  await arrivedCode(server, CANARY.email)
}

describe('the example server on a Redis with files', () => {
  it('stores no personal value in plain text: not in keys, values, the append-only file or the dump', async () => {
    await wholeLife()
    const files = await readFile(join(folder, 'appendonlydir', 'appendonly.aof.1.incr.aof'))
    // Control: the search covers everything that was written, and finds existing data.
    expect(files.length).toBeGreaterThan(10_000)
    const [personKey = ''] = await client.keys('example:*:person:*')
    expect((await searchTraces([folder], [personKey])).length).toBeGreaterThan(0)

    expect(await searchTraces([folder], CANARIES)).toEqual([])
    await rewriteRedis(client)
    expect(await searchTraces([folder], CANARIES)).toEqual([])
    for (const key of await client.keys('*')) for (const canary of CANARIES) expect(key).not.toContain(canary)
  })

  it('encrypts each field of a person with a key of that person', async () => {
    const [key = ''] = await client.keys('example:*:person:*')
    const stored = JSON.parse((await client.get(key)) ?? '{}') as {
      value: { id: string; fields: Record<string, string>; password: string }
    }
    const { id, fields, password } = stored.value
    expect(Object.keys(fields).toSorted()).toEqual(
      ['country', 'email', 'firstname', 'image', 'language', 'surname'].toSorted(),
    )
    for (const [field, sealed] of Object.entries(fields)) {
      const bytes = Buffer.from(sealed, 'base64url')
      const value = CANARY[field as keyof typeof CANARY]
      expect([field, bytes.length]).toEqual([field, Buffer.byteLength(value) + 33])
      expect(bytes.includes(value)).toBe(false)
    }
    expect(password).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(key).toContain(id)
    const keys = await client.keys('example:*:person-key:*')
    expect(keys.length).toBe((await client.keys('example:*:person:*')).length)
  })

  it('makes the data of a person unreadable by erasing their key', async () => {
    for (const key of await client.keys('example:*:person-key:*')) await client.del(key)
    const other = await startExampleProcess({
      REDIS_URL: redis.url,
      SECRET_KEY: Buffer.alloc(32, 5).toString('base64'),
    })
    try {
      const visitor = new Visitor()
      await visitor.open(`${other.url}/account`)
      const answer = await visitor.submit('sign-in', { email: CANARY.email, password: CANARY.password })
      expect(answer.status).toBe(503)
      expect(answer.html).not.toContain(CANARY.surname)
    } finally {
      await killExampleProcess(other)
    }
  })
})
