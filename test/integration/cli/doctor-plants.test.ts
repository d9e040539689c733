import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { Redis } from 'ioredis'
import { generate } from 'selfsigned'
import { portcullis, start, type Surrounding } from '../../support/command-line.ts'
import { startRedis, type RedisServer } from '../../support/redis.ts'

const folder = mkdtempSync(join(tmpdir(), 'portcullis-plants-'))
const env = { PORTCULLIS_VAULT_KEY: randomBytes(32).toString('base64') }
const servers: Server[] = []
const certificate = join(folder, 'server.crt')
let redis: RedisServer
let admin: Redis
let secure: { readonly key: string; readonly cert: string }

beforeAll(async () => {
  // Also for callers that do not use the address of this machine for itself.
  redis = await startRedis({ args: ['--bind', '0.0.0.0', '--protected-mode', 'no', '--appendonly', 'yes'] })
  admin = new Redis(redis.url)
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  })
  secure = { key, cert }
  writeFileSync(certificate, cert)
})
afterEach(() => {
  jest.restoreAllMocks()
})
afterAll(async () => {
  admin.disconnect()
  for (const server of servers) server.close()
  await redis.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function listen(server: Server): Promise<number> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, resolve))
  return (server.address() as AddressInfo).port
}

const http = async (handler: RequestListener, host = '127.0.0.1'): Promise<string> =>
  `--url http://${host}:${await listen(createHttpServer(handler))}/`
const https = async (handler: RequestListener): Promise<string> =>
  `--url https://localhost:${await listen(createHttpsServer(secure, handler))}/`
const answer: RequestListener = (_req, res) => res.end()

let made = 0
/** A project with one source file. Returns the options that name it. */
function project(source: string, manifest: object = {}): string {
  const directory = `project-${(made += 1)}`
  const files = { 'package.json': JSON.stringify(manifest), 'src/app.js': source }
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, directory, file)), { recursive: true })
    writeFileSync(join(folder, directory, file), content)
  }
  return `--project ${directory}`
}

/** A store with one app and one key. Returns the options that name it. */
async function store(policy: object = {}, key = ''): Promise<string> {
  const option = `--store file:store-${(made += 1)}`
  const input = JSON.stringify({ appId: 'shop', ...policy })
  const created = await portcullis(`app create shop --policy - ${option}`, { env, input, directory: folder })
  expect(created.code).toBe(0)
  expect((await portcullis(`key create shop ${key} ${option}`, { env, directory: folder })).code).toBe(0)
  return option
}

async function user(name: string, ...rules: string[]): Promise<string> {
  await admin.call('ACL', 'SETUSER', name, 'reset', 'on', '>pw', ...rules)
  writeFileSync(join(folder, `url-${name}`), redis.url.replace('redis://', `redis://${name}:pw@`))
  return `--redis-url-file url-${name}`
}

type Plant = readonly [
  what: string,
  check: string,
  status: 'warn' | 'fail',
  says: RegExp,
  plant: () => string | Promise<string>,
  surrounding?: Surrounding & { readonly days?: number },
]

const SECRET = randomBytes(32)
const AUDITED = 'const log = auditLog({ store })\n'

const plants: readonly Plant[] = [
  [
    'a version of Express that is not supported',
    'express',
    'fail',
    /\^4\.17\.0 is not supported/,
    () => project('', { dependencies: { express: '^4.17.0' } }),
  ],
  [
    'trust in every proxy',
    'proxy',
    'fail',
    /src\/app\.js:1 trusts every proxy/,
    () => project("app.set('trust proxy', true)"),
  ],
  [
    'trust in a number of hops',
    'proxy',
    'warn',
    /trusts a number of hops/,
    () => project("app.set('trust proxy', 2)"),
  ],
  [
    'a wrong order of guards',
    'guard-order',
    'warn',
    /mounts `serverOnly` before `ipWhitelist`/,
    () => project('app.use(serverOnly(a), ipWhitelist(a))'),
  ],
  [
    'a parser before serverOnly',
    'guard-order',
    'warn',
    /mounts `express\.json\(\)` before `serverOnly`/,
    () => project('app.use(express.json())\napp.use(serverOnly(a))'),
  ],
  [
    'cors() next to domainProtect',
    'guard-order',
    'warn',
    /both write the CORS headers/,
    () => project('app.use(cors())\napp.use(domainProtect(a))'),
  ],
  [
    'a secret in base64 in the code',
    'secrets',
    'fail',
    /^src\/app\.js:2 contains the value of `clientSecret`$/,
    () => project(`const a = 1\nconst clientSecret = '${SECRET.toString('base64')}'`),
  ],
  [
    'a key in hexadecimal in the code',
    'secrets',
    'fail',
    /contains the value of `key`$/,
    () =>
      project(`createVault({ keys: [{ id: '1', key: Buffer.from("${SECRET.toString('hex')}", 'hex') }] })`),
  ],
  [
    'a private key in the code',
    'secrets',
    'fail',
    /contains the value of `PRIVATE KEY`$/,
    () => project('const pem = `-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----`'),
  ],
  [
    'an audit log without checkpoints',
    'checkpoints',
    'warn',
    /src\/app\.js:1 creates an audit log/,
    () => project(AUDITED),
  ],
  [
    'an adequacy decision that ends soon',
    'adequacy',
    'warn',
    /only until 2031-12-27, 100 more days/,
    () => project('app.use(regionPin({ policies }))'),
    { days: 100 },
  ],
  [
    'an adequacy decision that has ended',
    'adequacy',
    'fail',
    /ended on 2031-12-27/,
    () => project('app.use(protect(all))'),
    { days: 0 },
  ],
  ['HTTP for the public', 'https', 'fail', /answers over HTTP/, () => http(answer, hostname())],
  ['a certificate that nobody trusts', 'url', 'fail', /certificate/, () => https(answer)],
  [
    'a clock that is wrong',
    'clock',
    'fail',
    /signatures may be refused as expired/,
    () => http((_req, res) => res.setHeader('date', new Date(Date.now() - 120_000).toUTCString()).end()),
  ],
  ['a store that does not exist', 'store', 'fail', /ECONNREFUSED/, () => '--redis redis://127.0.0.1:1'],
  [
    'a policy that would be refused',
    'policies',
    'fail',
    /1 policy would be refused: shop/,
    async () => {
      const option = await store({ ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/24'] } })
      const path = join(folder, option.slice(13), 'policies.json')
      writeFileSync(path, readFileSync(path, 'utf8').replace('192.0.2.0/24', '192.0.2.1/24'))
      return option
    },
  ],
  [
    'a policy that admits every address',
    'policies',
    'warn',
    /findings of severity danger: shop/,
    () => store({ ipWhitelist: { mode: 'enforce', ranges: ['0.0.0.0/0', '::/0'] } }),
  ],
  [
    'another vault key',
    'vault',
    'fail',
    /cannot be decrypted with this vault key/,
    () => store(),
    {
      env: { PORTCULLIS_VAULT_KEY: randomBytes(32).toString('base64') },
    },
  ],
  [
    'a key that expires soon',
    'keys',
    'warn',
    /will expire within 14 days: shop\/shop-1/,
    () => store({}, '--valid-for 3d'),
  ],
  [
    'a Redis that evicts keys when it is full',
    'redis-memory',
    'fail',
    /allkeys-lru/,
    async () => {
      await admin.config('SET', 'maxmemory', '100mb')
      await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
      return `--redis ${redis.url}`
    },
  ],
  [
    'a Redis without an append-only file',
    'redis-persistence',
    'warn',
    /a crash loses/,
    async () => {
      await admin.config('SET', 'appendonly', 'no')
      return `--redis ${redis.url}`
    },
  ],
  [
    'a connection to Redis without TLS',
    'redis-tls',
    'warn',
    /is not encrypted/,
    () => `--redis redis://${hostname()}:${redis.port}`,
  ],
  [
    'a Redis whose clock differs',
    'redis-clock',
    'warn',
    /behind the clock of this machine/,
    () => `--redis ${redis.url}`,
    { days: -1 },
  ],
  [
    'credentials that Redis refuses',
    'store',
    'fail',
    /WRONGPASS/,
    () => {
      writeFileSync(join(folder, 'url-wrong'), redis.url.replace('redis://', 'redis://nobody:no@'))
      return '--redis-url-file url-wrong'
    },
  ],
  [
    'a Redis user who may do everything',
    'redis-rights',
    'warn',
    /even FLUSHALL/,
    () => `--redis ${redis.url}`,
  ],
  [
    'a Redis user who may not write nonces',
    'redis-rights',
    'fail',
    /not allowed to run set/,
    () => user('without-set', '~*', '&*', '+@all', '-set'),
  ],
]

const END = Date.parse('2031-12-28T00:00:00Z')
const DAY = 86_400_000

describe('portcullis doctor finds', () => {
  it.each(plants)('%s', async (_what, check, status, says, plant, { days, ...surrounding } = {}) => {
    const options = await plant()
    const now = Date.now.bind(Date)
    if (days !== undefined) {
      // Negative days are in the future of the real clock; others are days before the end of the decision.
      const shift = days < 0 ? DAY : END - days * DAY - now()
      jest.spyOn(Date, 'now').mockImplementation(() => now() + shift)
    }
    const { code, out } = await portcullis(`doctor --json --strict ${options}`, {
      env,
      directory: folder,
      ...surrounding,
    })
    const { checks } = JSON.parse(out) as { checks: { id: string; status: string; detail: string }[] }
    const found = checks.find(({ id }) => id === check)
    expect([found?.status, found?.detail, code]).toEqual([status, expect.stringMatching(says), 3])
    expect(out).not.toContain(SECRET.toString('base64'))
    expect(out).not.toContain(SECRET.toString('hex'))
  })

  it('a service over HTTPS without HSTS, or with a short one', async () => {
    const ask = async (value: string | undefined): Promise<string | undefined> => {
      const url = await https((_req, res) => {
        if (value !== undefined) res.setHeader('strict-transport-security', value)
        res.end()
      })
      const { out } = await start(['doctor', '--json', ...url.split(' ')], {
        directory: folder,
        env: { NODE_EXTRA_CA_CERTS: certificate },
      }).ended
      const { checks } = JSON.parse(out) as { checks: { id: string; status: string; detail: string }[] }
      const { status, detail } = checks.find(({ id }) => id === 'hsts') ?? {}
      return `${status} ${detail}`
    }
    expect(await ask(undefined)).toBe('warn `Strict-Transport-Security` is missing')
    expect(await ask('max-age=3600')).toMatch(/^warn .* less than 180 days$/)
    expect(await ask('max-age=31536000')).toMatch(/^pass /)
  })

  it('nothing where nothing is wrong', async () => {
    const source = [
      "app.set('trust proxy', ['10.0.0.0/8'])",
      'app.use(auditAccess(a), regionPin(a), ipWhitelist(a), domainProtect(a), bodyParsers(), serverOnly(a))',
      `// const secret = '${SECRET.toString('base64')}'`,
      `const publicKey = '${SECRET.toString('base64')}'`,
      "const key = process.env.PORTCULLIS_VAULT_KEY ?? readFileSync('/run/secrets/key')",
      "const keyName = 'the-name-of-a-key-that-is-longer-than-forty-characters'",
      `${AUDITED}createSealer({ store })`,
    ]
    const options = [
      project(source.join('\n'), { dependencies: { express: '^5.0.0' } }),
      await store(),
      await http(answer),
    ]
    const { code, out } = await portcullis(`doctor --json --strict ${options.join(' ')}`, {
      env,
      directory: folder,
    })
    const { checks } = JSON.parse(out) as { checks: { id: string; status: string }[] }
    expect(checks.filter(({ status }) => status !== 'pass' && status !== 'skip')).toEqual([])
    for (const id of ['express', 'proxy', 'guard-order', 'secrets', 'checkpoints', 'adequacy', 'policies'])
      expect([id, checks.find((each) => each.id === id)?.status]).toEqual([id, 'pass'])
    expect(code).toBe(0)
  })
})
