import { createPrivateKey, randomBytes, sign as signBytes, type KeyObject } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { changeKeys, rollbackPolicy, type AppKey } from 'portcullis'
import { signRequest } from 'portcullis/client'
import { redisStore, type RedisStore } from 'portcullis/redis'
import { createVault, type Vault } from 'portcullis/vault'
import { run } from '../../support/commands.ts'
import { repository } from '../../support/commands.ts'
import { eventually } from '../../support/policy-process.ts'
import { APP, KEY } from '../../support/protected-app.ts'
import { freshPrefix, startRedis, type RedisServer } from '../../support/redis.ts'
import {
  HOST,
  startSignedServers,
  type SignedAnswer,
  type SignedServers,
} from '../../support/signed-servers.ts'

const vaultKey = randomBytes(32).toString('base64')
const vault: Vault = createVault({ keys: [{ id: 'k', key: vaultKey }] })
const POLICY = { appId: APP, serverOnly: { mode: 'enforce' } }
const NEW_KEY: AppKey = { ...KEY, id: 'key-2', secret: randomBytes(32).toString('base64') }
/** The maximum time until a change reaches the other processes, in milliseconds, with a margin for a busy machine. */
const ANNOUNCED = 1_000

let server: RedisServer
let redis: Redis
beforeAll(async () => {
  server = await startRedis()
  redis = new Redis({ port: server.port, disconnectTimeout: 50 })
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})

/** Two server processes, and a store in this one. */
async function withServers(
  body: (store: RedisStore, servers: SignedServers, prefix: string) => Promise<void>,
) {
  const prefix = freshPrefix()
  const store = redisStore(redis, { prefix, vault })
  await store.write({ policy: POLICY, keys: [KEY] }, 0)
  const servers = await startSignedServers({ ports: [server.port], prefix, vaultKey })
  try {
    await body(store, servers, prefix)
  } finally {
    await servers.stop()
    store.close()
  }
}

type Signer = () => Promise<Record<string, string>>

const hmac =
  ({ id, secret }: AppKey): Signer =>
  () =>
    signRequest(
      { method: 'GET', url: `http://${HOST}/`, headers: { 'x-app-id': APP } },
      { keyId: id, secret },
    )

/** Several callers that send new signed requests to both servers in turn until they are stopped. */
function callWith(servers: SignedServers, sign: Signer) {
  const answers: SignedAnswer[] = []
  let stopped = false
  const callers = Array.from({ length: 4 }, async (_, caller) => {
    for (let turn = caller; !stopped; turn += 1) answers.push(await servers.send(turn % 2, await sign()))
  })
  return {
    answers,
    async stop() {
      stopped = true
      await Promise.all(callers)
    },
  }
}

const codesOf = (answers: readonly SignedAnswer[]): readonly string[] => [
  ...new Set(answers.map(({ code }) => code)),
]

describe('the rotation of a key in two processes under load', () => {
  it('refuses no request signed with a valid key, and refuses a revoked key at once and forever', async () => {
    await withServers(async (store, servers) => {
      const [old, fresh] = [hmac(KEY), hmac(NEW_KEY)]
      const bothSay = async (sign: Signer): Promise<readonly string[]> =>
        codesOf([await servers.send(0, await sign()), await servers.send(1, await sign())])
      expect(await bothSay(fresh)).toEqual(['SIGNATURE_INVALID'])

      const withOld = callWith(servers, old)
      await eventually('requests flow', () => withOld.answers.length > 200)
      const inADay = new Date(Date.now() + 86_400_000).toISOString()
      await changeKeys(store, APP, { add: [NEW_KEY], limit: [{ id: KEY.id, notAfter: inADay }] })
      // The new secret is used only after that.
      await eventually(
        'both take the new key',
        async () => (await bothSay(fresh)).join() === 'PASSED',
        ANNOUNCED,
      )
      const withBoth = callWith(servers, fresh)
      await eventually('both keys are in use', () => withBoth.answers.length > 200)
      expect(withOld.answers.at(-1)?.headers['portcullis-key-expires']).toBe(inADay)
      expect(withBoth.answers.at(-1)?.headers).not.toHaveProperty('portcullis-key-expires')
      await withOld.stop()

      expect(await store.keys(APP)).toEqual([
        { id: KEY.id, algorithm: 'hmac-sha256', notAfter: inADay, lastUsed: expect.any(String) },
        { id: NEW_KEY.id, algorithm: 'hmac-sha256', lastUsed: expect.any(String) },
      ])
      const revision = await changeKeys(store, APP, { revoke: [KEY.id] })
      await eventually(
        'both refuse the old key',
        async () => (await bothSay(old)).join() === 'SIGNATURE_INVALID',
        ANNOUNCED,
      )
      for (const to of [1, 2]) {
        await rollbackPolicy(store, APP, { to, replaces: revision + to - 1 })
        await sleep(100)
        expect(await bothSay(old)).toEqual(['SIGNATURE_INVALID'])
      }
      await withBoth.stop()
      expect(codesOf(withOld.answers)).toEqual(['PASSED'])
      expect(codesOf(withBoth.answers)).toEqual(['PASSED'])
    })
  })
})

describe('an Ed25519 key', () => {
  /** Runs the commands in docs/signing.md: the private key, and the public key in the form for the store. */
  async function createPair(): Promise<{ readonly privateKey: KeyObject; readonly publicKey: string }> {
    const page = await readFile(resolve(repository, 'docs/signing.md'), 'utf8')
    const commands = page.split('\n').filter((line) => line.startsWith('openssl ') && line.includes('pkey'))
    expect(commands).toHaveLength(2)
    const folder = await mkdtemp(join(tmpdir(), 'portcullis-keys-'))
    try {
      const script = commands.map((command) => command.replace(/ +# .*/, '')).join(' && ')
      const { output, succeeded } = await run('sh', ['-c', script], { cwd: folder })
      expect([succeeded, output]).toEqual([true, expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/)])
      const pem = await readFile(join(folder, 'app-key.pem'))
      return { privateKey: createPrivateKey(pem), publicKey: output }
    } finally {
      await rm(folder, { recursive: true })
    }
  }

  it('created by the commands in docs/signing.md signs requests, and the store has only its public half', async () => {
    const { privateKey, publicKey } = await createPair()
    const signWith =
      (key: KeyObject): Signer =>
      async () => {
        const created = Math.floor(Date.now() / 1000)
        const nonce = randomBytes(16).toString('hex')
        const input = `("@method" "@authority" "@path" "@query");created=${created};keyid="pair-1";nonce="${nonce}"`
        const base = `"@method": GET\n"@authority": ${HOST}\n"@path": /\n"@query": ?\n"@signature-params": ${input}`
        const signature = signBytes(null, Buffer.from(base), key).toString('base64')
        return { 'x-app-id': APP, 'signature-input': `sig1=${input}`, signature: `sig1=:${signature}:` }
      }
    await withServers(async (store, servers, prefix) => {
      const pair: AppKey = { id: 'pair-1', algorithm: 'ed25519', secret: publicKey }
      await changeKeys(store, APP, { add: [pair], revoke: [KEY.id] })
      await sleep(ANNOUNCED)
      const headers = await signWith(privateKey)()
      const answers = [await servers.send(0, headers), await servers.send(1, headers)]
      expect(answers.map(({ code }) => code)).toEqual(['PASSED', 'SIGNATURE_REPLAYED'])
      expect((await servers.send(0, await hmac(KEY)())).code).toBe('SIGNATURE_INVALID')

      // Everything stored for the app, decrypted.
      const { x, d } = privateKey.export({ format: 'jwk' })
      const sealed = await redis.hget(`${prefix}secrets:{${APP}}`, 'sealed')
      const opened = vault.open(sealed ?? '', `app-keys:${APP}`)
      expect(JSON.parse(opened)).toEqual([pair])
      expect(Buffer.from(publicKey, 'base64').toString('base64url')).toBe(x)
      expect(d).toHaveLength(43)
      for (const half of [d ?? '', Buffer.from(d ?? '', 'base64url').toString('base64')])
        expect(opened).not.toContain(half)
    })
  })

  it('does not let anyone sign with the public key as an HMAC secret', async () => {
    const { publicKey } = await createPair()
    await withServers(async (store, servers) => {
      await changeKeys(store, APP, { add: [{ id: 'pair-1', algorithm: 'ed25519', secret: publicKey }] })
      await sleep(ANNOUNCED)
      const forged = await hmac({ id: 'pair-1', algorithm: 'hmac-sha256', secret: publicKey })()
      expect((await servers.send(0, forged)).code).toBe('SIGNATURE_INVALID')
    })
  })
})
