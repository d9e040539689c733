import { randomBytes } from 'node:crypto'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { compiled } from '../../support/compiled.ts'
import { portcullis, type Ended, type Surrounding } from '../../support/command-line.ts'
import { repository, run } from '../../support/commands.ts'
import { startRedis, type RedisServer } from '../../support/redis.ts'

const folder = mkdtempSync(join(tmpdir(), 'portcullis-doctor-'))
const env = { PORTCULLIS_VAULT_KEY: randomBytes(32).toString('base64') }
const servers: Server[] = []
let redis: RedisServer
let admin: Redis

beforeAll(async () => {
  redis = await startRedis()
  admin = new Redis(redis.url)
})
afterAll(async () => {
  admin.disconnect()
  for (const server of servers) server.close().closeAllConnections()
  await redis.stop()
  rmSync(folder, { recursive: true, force: true })
})

const command = (line: string, more: Surrounding = {}): Promise<Ended> =>
  portcullis(line, { directory: folder, ...more, env: { ...env, ...more.env } })

type Found = Record<string, { status: string; detail: string; fix?: string }>

async function doctor(line = '', more: Surrounding = {}): Promise<Ended & { readonly checks: Found }> {
  const ended = await command(`doctor --json ${line}`, more)
  const { checks } = JSON.parse(ended.out) as { checks: { id: string; status: string; detail: string }[] }
  return { ...ended, checks: Object.fromEntries(checks.map((check) => [check.id, check])) }
}

async function listen(handler: RequestListener): Promise<string> {
  const server = createServer(handler)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** Creates a project with these files. */
function project(name: string, files: Readonly<Record<string, string | object>>): string {
  const directory = join(folder, name)
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, file)), { recursive: true })
    writeFileSync(join(directory, file), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return directory
}

describe('portcullis doctor', () => {
  it('skips what it cannot check, and gives the reason', async () => {
    const found = await doctor('')
    expect([found.code, Object.values(found.checks).map(({ status }) => status)]).toEqual([
      0,
      Array.from({ length: 20 }, () => 'skip'),
    ])
    expect(Object.values(found.checks).every(({ detail }) => detail.length > 5)).toBe(true)
    const shown = await command('doctor')
    expect(shown.out).toMatch(/skip {2}https +give `--url`\n[^]*0 passed, 0 warned, 0 failed, 20 skipped\n$/)
  })

  it('checks a URL', async () => {
    const { checks } = await doctor(`--url ${await listen((_req, res) => res.end())}`)
    expect(checks).toMatchObject({
      url: { status: 'pass' },
      https: { status: 'skip' },
      hsts: { status: 'skip' },
      clock: { status: 'pass' },
    })
    const gone = await doctor('--url http://no-such-host.invalid/')
    expect([gone.code, gone.checks['url']?.status, gone.checks['clock']?.status]).toEqual([3, 'fail', 'skip'])
    expect((await command('doctor --url nonsense')).code).toBe(2)
  })

  it('checks what it can see in the sources', async () => {
    const good = project('good', {
      'package.json': { type: 'module', dependencies: { express: '^5.0.0' } },
      'app.js':
        "app.set('trust proxy', ['10.0.0.0/8'])\napp.use('/auth', auditAccess(a), ipWhitelist(b), serverOnly(c))\n",
    })
    expect((await doctor('', { directory: good })).checks).toMatchObject({
      express: { status: 'pass', detail: 'Express ^5.0.0' },
      proxy: { status: 'pass', detail: expect.stringContaining('app.js:1') },
      'guard-order': { status: 'pass', detail: expect.stringContaining('app.js:2') },
    })
    const bad = project('bad', {
      'package.json': { dependencies: { express: '^4.17.0' } },
      'src/app.js':
        "const app = express()\napp.set('trust proxy', true)\napp.use(\n  serverOnly(a),\n  ipWhitelist(b),\n)\n",
    })
    const found = await doctor(`--project ${bad}`)
    expect([found.code, found.checks]).toMatchObject([
      3,
      {
        express: { status: 'fail' },
        proxy: { status: 'fail', detail: expect.stringContaining('src/app.js:2') },
        'guard-order': { status: 'warn', detail: 'src/app.js:3 mounts `serverOnly` before `ipWhitelist`' },
      },
    ])
    const hops = project('hops', {
      'package.json': {},
      'a.ts': "express()\n  .set('trust proxy', 1)\napp.use(protect(all))\n",
    })
    expect((await doctor('', { directory: hops })).checks).toMatchObject({
      express: { status: 'skip' },
      proxy: { status: 'warn' },
      'guard-order': { status: 'pass' },
    })
  })

  const JSON_AHEAD = 'mounts `express.json()` before `serverOnly`'
  it.each([
    [
      'express.json() before the guard',
      'app.use(express.json())\napp.use("/auth", serverOnly(a))',
      `app.js:1 ${JSON_AHEAD} in line 2`,
    ],
    [
      'express.json() in the same call',
      'app.use(domainProtect(a), express.json(), serverOnly(a))',
      JSON_AHEAD,
    ],
    [
      'both parsers, the wrong one first',
      'app.use(express.json(), bodyParsers())\napp.use(serverOnly(a))',
      JSON_AHEAD,
    ],
    [
      'express.urlencoded() before protect()',
      'app.use(express.urlencoded())\napp.use(protect(a))',
      'before `protect`',
    ],
    [
      'cors() next to the guards',
      'app.use(cors())\napp.use("/auth", ipWhitelist(a), domainProtect(b))',
      'app.js:1 mounts `cors()`, and line 2 mounts `domainProtect`',
    ],
  ])('warns of %s', async (name, source, detail) => {
    const directory = project(`beside-${name.replaceAll(/\W+/g, '-')}`, {
      'package.json': {},
      'app.js': source,
    })
    expect((await doctor('', { directory })).checks['guard-order']).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining(detail),
    })
  })

  it.each([
    [
      'other paths',
      'app.use("/shop", cors(), express.json())\napp.use("/auth", domainProtect(a), serverOnly(b))',
    ],
    ['bodyParsers() first', 'app.use("/auth", bodyParsers(), serverOnly(b))\napp.use(express.json())'],
    [
      'bodyParsers() in an earlier call',
      'app.use(bodyParsers())\napp.use(express.json())\napp.use(domainProtect(a), serverOnly(b))',
    ],
    [
      'a parser that keeps the bytes',
      'app.use(express.json({ verify: (q, s, b) => keepBody(q, b) }))\napp.use(domainProtect(a), serverOnly(b))',
    ],
    ['a comment', '// app.use(cors(), express.json())\napp.use(domainProtect(a), serverOnly(b))'],
  ])('gives no warning next to the guards with %s, and says what it checked', async (name, source) => {
    const directory = project(`apart-${name.replaceAll(/\W+/g, '-')}`, {
      'package.json': {},
      'app.js': source,
    })
    expect((await doctor('', { directory })).checks['guard-order']).toMatchObject({
      status: 'pass',
      detail: expect.stringContaining('other files were not compared'),
    })
  })

  it('checks the contents of a store', async () => {
    expect((await command('app create good --store file:store')).code).toBe(0)
    await command('key create good --valid-for 3d --store file:store')
    const open = { appId: 'open', ipWhitelist: { mode: 'enforce', ranges: ['0.0.0.0/0', '::/0'] } }
    await command('app create open --policy - --store file:store', { input: JSON.stringify(open) })
    const found = await doctor('--store file:store')
    expect([found.code, found.checks]).toMatchObject([
      0,
      {
        store: { status: 'pass', detail: 'file:store has 2 apps' },
        vault: { status: 'pass' },
        policies: { status: 'warn', detail: expect.stringContaining('open') },
        keys: { status: 'warn', detail: expect.stringContaining('good/good-1') },
        'redis-memory': { status: 'skip' },
      },
    ])
    expect((await doctor('--store file:store --strict')).code).toBe(3)
    const other = await doctor('--store file:store', {
      env: { PORTCULLIS_VAULT_KEY: randomBytes(32).toString('base64') },
    })
    expect([other.code, other.checks['vault']?.status, other.checks['keys']?.status]).toEqual([
      3,
      'fail',
      'skip',
    ])
    const path = join(folder, 'store', 'policies.json')
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, text.replace('0.0.0.0/0', '0.0.0.1/0'))
    expect((await doctor('--store file:store')).checks['policies']).toMatchObject({ status: 'fail' })
    writeFileSync(path, 'nonsense')
    expect((await doctor('--store file:store')).checks['store']).toMatchObject({ status: 'fail' })
    rmSync(join(folder, 'store'), { recursive: true })
  })

  it('checks a Redis server: memory, persistence, rights', async () => {
    const asDefault = await doctor(`--redis ${redis.url}`)
    expect([asDefault.code, asDefault.checks]).toMatchObject([
      0,
      {
        store: { status: 'pass' },
        'redis-version': { status: 'pass' },
        'redis-tls': { status: 'skip' },
        'redis-memory': { status: 'pass' },
        'redis-persistence': { status: 'warn' },
        'redis-clock': { status: 'pass' },
        'redis-rights': { status: 'warn', detail: expect.stringContaining('FLUSHALL') },
      },
    ])
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
    expect((await doctor(`--redis ${redis.url}`)).checks['redis-memory']).toMatchObject({ status: 'warn' })
    await admin.config('SET', 'maxmemory', '100mb')
    await admin.config('SET', 'appendonly', 'yes')
    const evicting = await doctor(`--redis ${redis.url}`)
    expect([evicting.code, evicting.checks]).toMatchObject([
      3,
      { 'redis-memory': { status: 'fail' }, 'redis-persistence': { status: 'pass' } },
    ])
  })

  it('checks the rights of a user by what Redis reports, or by what the user may read', async () => {
    const page = readFileSync(join(repository, 'docs/redis.md'), 'utf8')
    const rules = /^ACL SETUSER portcullis-dashboard on >\S+ (.*)$/m.exec(page)?.[1]?.split(' ') ?? []
    const as = async (user: string, ...more: string[]): Promise<Found> => {
      await admin.call('ACL', 'SETUSER', user, 'on', '>pw', ...rules, ...more)
      const url = redis.url.replace('redis://', `redis://${user}:pw@`)
      return (await doctor('', { env: { PORTCULLIS_REDIS_URL: url } })).checks
    }
    expect((await as('knowing', '+acl|whoami', '+acl|dryrun'))['redis-rights']).toMatchObject({
      status: 'pass',
    })
    expect((await as('weak', '+acl|whoami', '+acl|dryrun', '-hset'))['redis-rights']).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining('the command line is not allowed to run hset'),
    })
    expect((await as('blind', '+acl|whoami', '+acl|dryrun', '-zrangebylex'))['store']).toMatchObject({
      status: 'fail',
    })
    expect((await as('usual'))['redis-rights']).toMatchObject({
      status: 'pass',
      detail: expect.stringContaining('not tried'),
    })
    expect((await as('less', '-ttl'))['redis-rights']).toMatchObject({
      status: 'fail',
      detail: 'the user is not allowed to run ttl',
    })
  })

  it('checks a server that refuses or is unreachable', async () => {
    const refused = await doctor('', {
      env: { PORTCULLIS_REDIS_URL: redis.url.replace('redis://', 'redis://nobody:no@') },
    })
    expect([refused.code, refused.checks['store']]).toMatchObject([
      3,
      { status: 'fail', detail: expect.stringContaining('WRONGPASS') },
    ])
    expect((await doctor('--redis redis://127.0.0.1:1')).checks['store']).toMatchObject({ status: 'fail' })
  })
})

describe('exit codes of the store', () => {
  it('4 if Redis refuses the credentials, or the user lacks rights', async () => {
    const wrong = await command('app list', {
      env: { PORTCULLIS_REDIS_URL: redis.url.replace('redis://', 'redis://nobody:hunter2@') },
    })
    expect([wrong.code, wrong.error.includes('hunter2')]).toEqual([4, false])
    expect(wrong.error).toContain('PORTCULLIS_REDIS_URL')
    await admin.call('ACL', 'SETUSER', 'reader', 'on', '>pw', '~*', '&*', '+@read', '+@connection', '+info')
    const url = redis.url.replace('redis://', 'redis://reader:pw@')
    writeFileSync(join(folder, 'url'), `${url}\n`)
    expect((await command('app create a --redis-url-file url')).code).toBe(4)
    expect((await command('audit query --redis-url-file url')).code).toBe(4)
  })

  it('5 if Redis is unreachable', async () => {
    const gone = await command('app list --redis redis://127.0.0.1:1')
    expect([gone.code, gone.error]).toEqual([
      5,
      'portcullis app list: Redis cannot be reached at redis://127.0.0.1:1 (ECONNREFUSED): check that it is running, and that host and port are right\n',
    ])
  })

  it.each([
    ['app list', '`--store` is missing'],
    ['app list --store http://x', '`--store` must be `file:PATH`'],
    ['app list --store file:', 'must be followed by a path'],
    ['app list --store file:nowhere', 'there is no store at `nowhere`'],
    ['app list --redis nonsense', 'must be a URL such as `redis://host:6379`'],
    ['app list --redis redis://a:1 --store file:x', 'give only one of'],
    ['app list --redis-url-file nowhere', 'there is no file `nowhere`'],
    ['app list --prefix x{y} --redis URL', 'prefix'],
  ])('2 for `%s`', async (line, message) => {
    const ended = await command(line.replace('URL', redis.url))
    expect([ended.code, ended.error]).toEqual([2, expect.stringContaining(message)])
  })
})

describe('portcullis init', () => {
  const EXPRESS = { express: '5.3.0' }
  const serve = (file: string, isModule: boolean): string =>
    `${isModule ? `import express from 'express'\nimport { guards } from './${file}'` : `const express = require('express')\nconst { guards } = require('./${file}')`}
const app = express()
app.use('/auth', guards)
app.get('/auth/me', (req, res) => res.json({ app: req.portcullis.appId }))
const server = app.listen(0, '127.0.0.1', async () => {
  const url = 'http://127.0.0.1:' + server.address().port + '/auth/me'
  const known = await fetch(url, { headers: { 'x-app-id': 'example-shop' } })
  const unknown = await fetch(url, { headers: { 'x-app-id': 'nobody' } })
  console.log(known.status, unknown.status)
  process.exit()
})
`

  it.each([
    ['ES modules', 'esm', { type: 'module', dependencies: EXPRESS }, 'portcullis.js', 'server.js'],
    ['CommonJS', 'commonjs', { dependencies: EXPRESS }, 'portcullis.cjs', 'server.js'],
  ])('writes code that works with %s', async (_what, modules, manifest, file, entry) => {
    const directory = project(`init-${modules}`, { 'package.json': { name: 'my-app', ...manifest } })
    const shown = await command('init --json', { directory })
    expect([shown.code, JSON.parse(shown.out)]).toMatchObject([
      0,
      {
        project: { name: 'my-app', express: '5.3.0', modules, typescript: false },
        files: [],
        policy: { appId: 'example-shop' },
      },
    ])
    expect(readdirSync(directory)).toEqual(['package.json'])
    const written = await command('init --write', { directory })
    expect([written.code, written.out]).toEqual([0, `wrote ${file} and policies.json\n`])
    expect(readdirSync(directory).toSorted()).toEqual(['package.json', 'policies.json', file])
    const again = await command('init --write', { directory })
    expect([again.code, again.error]).toEqual([
      1,
      expect.stringContaining('already exist: nothing was written'),
    ])

    writeFileSync(join(directory, entry), serve(file, modules === 'esm'))
    mkdirSync(join(directory, 'node_modules'))
    symlinkSync(join(repository, 'node_modules', 'express'), join(directory, 'node_modules', 'express'))
    // Links the package, as compiled for tests.
    symlinkSync(
      dirname(dirname(dirname(compiled('src/cli/main.ts')))),
      join(directory, 'node_modules', 'portcullis'),
    )
    const ran = await run(process.execPath, ['--disable-warning=ExperimentalWarning', entry], {
      cwd: directory,
      env: { PATH: process.env['PATH'], NODE_ENV: 'production' },
    })
    expect(ran).toEqual({ succeeded: true, output: expect.stringMatching(/^200 401$/m) })
  })

  it('reports what it finds, and requires a package.json', async () => {
    const directory = project('init-seen', {
      'package.json': { dependencies: { express: '^4.22.0' }, devDependencies: { typescript: '5.9.0' } },
      'src/server.ts': "const app = express()\napp.set('trust proxy', true)\n",
    })
    const shown = await command('init --app shop', { directory })
    expect(shown.error).toContain(
      'Express ^4.22.0\nCommonJS, TypeScript\nthe application is created in src/server.ts\n',
    )
    expect(shown.error).toContain('src/server.ts:2: `trust proxy` is true')
    expect(shown.out).toMatch(/^\/\/ portcullis\.ts\nimport [^]*"appId": "shop"/)
    // It prints the same as it writes.
    const printed = shown.out.split('as `npx portcullis init --write` writes it\n')[1] ?? ''
    expect((await command('init --app shop --write', { directory })).code).toBe(0)
    const written = JSON.parse(readFileSync(join(directory, 'policies.json'), 'utf8'))
    writeFileSync(join(directory, 'policies.json'), printed)
    expect(
      JSON.parse((await command('policy get shop --store file:policies.json', { directory })).out),
    ).toEqual(written.apps.shop.policy)
    expect(Object.keys(JSON.parse(printed))).toEqual(Object.keys(written))
    expect(shown.error).toContain('  npx portcullis init --write --app shop\n')
    expect((await command('init --app no/id', { directory })).code).toBe(2)
    const empty = project('init-empty', { 'readme.md': '' })
    expect((await command('init', { directory: empty })).error).toContain('there is no package.json here')
  })

  it('does not create a second store next to the file that `init` wrote', async () => {
    const directory = project('init-twice', { 'package.json': { dependencies: EXPRESS } })
    const first = await command('init --write', { directory })
    expect([first.code, first.error]).toEqual([
      0,
      expect.stringContaining('(see docs/proxies.md in the Portcullis repository)'),
    ])
    const second = await command('app create other --store file:policies', { directory })
    expect([second.code, second.error]).toEqual([
      2,
      expect.stringContaining('give `--store file:policies.json`, or create the directory for another store'),
    ])
    expect(readdirSync(directory).toSorted()).toEqual(['package.json', 'policies.json', 'portcullis.cjs'])
    mkdirSync(join(directory, 'policies'))
    expect((await command('app create other --store file:policies', { directory })).code).toBe(0)
  })

  it('can run the commands at the top of docs/cli.md on one store', async () => {
    const directory = project('init-page', { 'package.json': { dependencies: EXPRESS } })
    const page = readFileSync(join(repository, 'docs/cli.md'), 'utf8')
    const lines = [...(/```sh\n([^`]*)```/.exec(page)?.[1] ?? '').matchAll(/^npx portcullis (.*)$/gm)]
    expect(lines.length).toBeGreaterThan(3)
    for (const [, line = ''] of lines)
      expect([line, (await command(line, { directory, env: { EDITOR: 'true' } })).code]).toEqual([line, 0])
    const { apps } = JSON.parse(readFileSync(join(directory, 'policies.json'), 'utf8'))
    expect([readdirSync(directory).includes('policies'), Object.keys(apps)]).toEqual([
      false,
      ['another-shop', 'example-shop'],
    ])
  })
})
