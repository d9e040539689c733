import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { build } from 'esbuild'
import { repository, run } from '../support/commands.ts'
import { exportedNames } from '../unit/house/exports.ts'
import { manifest, must, pack, type Packed } from './consumer.ts'

let packed: Packed

beforeAll(async () => {
  packed = await pack()
}, 60_000)
afterAll(() => packed.remove())

const header = {
  mjs: `import express from 'express'
    import { bodyParsers, createPolicySource, ipWhitelist, memoryAuditSink, memoryNonces, memoryStore, protect } from 'portcullis'`,
  cjs: `const express = require('express')
    const { bodyParsers, createPolicySource, ipWhitelist, memoryAuditSink, memoryNonces, memoryStore, protect } = require('portcullis')`,
}

const program = `
const off = { mode: 'off' }
const policies = createPolicySource({
  store: memoryStore([
    { policy: { appId: 'inside', ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8', '::1'] } } },
    { policy: { appId: 'outside', ipWhitelist: { mode: 'enforce', ranges: ['203.0.113.0/24'] } } },
    {
      policy: {
        appId: 'browser',
        serverOnly: off,
        ipWhitelist: off,
        domainProtect: { mode: 'enforce', domains: ['https://example.org'] },
        returnUrlGuard: off,
        regionPin: off,
        auditAccess: off,
      },
    },
  ]),
})
const app = express()
app.get('/address', ipWhitelist({ policies }), (req, res) => res.json({ app: req.portcullis.appId }))
app.use(
  '/all',
  bodyParsers(),
  protect({
    policies,
    sink: memoryAuditSink(),
    nonces: memoryNonces(),
    here: 'london',
    country: () => 'DE',
    returnUrl: () => undefined,
  }),
  (req, res) => res.json({ app: req.portcullis.appId }),
)
const server = app.listen(0, '127.0.0.1', async () => {
  const ask = async (path, headers) => {
    const response = await fetch('http://127.0.0.1:' + server.address().port + path, { headers })
    const { app, code } = await response.json()
    return [response.status, app ?? code].join(' ')
  }
  const answers = [
    await ask('/address', { 'x-app-id': 'inside' }),
    await ask('/address', { 'x-app-id': 'outside' }),
    await ask('/address', {}),
    await ask('/all', { 'x-app-id': 'browser', origin: 'https://example.org' }),
    await ask('/all', { 'x-app-id': 'browser', origin: 'https://example.com' }),
  ]
  server.close()
  console.log(JSON.stringify(answers))
})
`

describe.each(['express', 'express4'])('with %s', (express) => {
  it.each(['mjs', 'cjs'] as const)(
    'a program in a .%s file protects its routes',
    async (format) => {
      const project = await packed.project({ express })
      const answers: unknown = JSON.parse(
        await project.execute(`app.${format}`, `${header[format]}\n${program}`),
      )
      expect(answers).toEqual([
        '200 inside',
        '403 ADDRESS_NOT_ALLOWED',
        '401 APP_UNIDENTIFIED',
        '200 browser',
        '403 ORIGIN_NOT_ALLOWED',
      ])
    },
    60_000,
  )
})

describe('without express and ioredis', () => {
  const entries = Object.keys(manifest.exports).filter((entry) => !entry.endsWith('.json'))

  it.each(entries)('%s exports its names for import and for require', async (entry) => {
    const project = await packed.project({})
    const name = join('portcullis', entry)
    const { values } = exportedNames(join('src', entry, 'index.ts'))
    const imported = `import * as all from '${name}'; console.log(JSON.stringify(Object.keys(all).sort()))`
    const required = `console.log(JSON.stringify(Object.keys(require('${name}')).sort()))`
    expect(JSON.parse(await project.execute('names.mjs', imported))).toEqual(values)
    expect(JSON.parse(await project.execute('names.cjs', required))).toEqual(values)
  })

  it('is a single copy for import and require', async () => {
    const project = await packed.project({})
    const same = entries.map((entry, index) => {
      const name = join('portcullis', entry)
      return `import * as entry${index} from '${name}'
        const required${index} = require('${name}')
        for (const [name, value] of Object.entries(entry${index})) if (required${index}[name] !== value) console.log(name)`
    })
    const printed = await project.execute(
      'both.mjs',
      `import { createRequire } from 'node:module'
      const require = createRequire(import.meta.url)
      ${same.join('\n')}
      console.log(entry0.isPortcullisError(new required0.ConfigError('option', 'a number', 'text')))`,
    )
    expect(printed).toBe('true')
  })

  it('prints an error under its own name', async () => {
    const project = await packed.project({})
    const printed = await project.execute(
      'error.mjs',
      `import { inspect } from 'node:util'
      import { ConfigError } from 'portcullis'
      console.log(inspect(new ConfigError('option', 'a number', 'text')).split('\\n', 1)[0])`,
    )
    expect(printed).toBe('ConfigError: `option` must be a number, got "text"')
  })

  it('calls our functions functions, and not by the names that the build gives them', async () => {
    const links = ['express', 'ioredis']
    const project = await packed.project(Object.fromEntries(links.map((name) => [name, name])))
    const printed = await project.execute('functions.mjs', givenFunctions)
    const messages = printed.split('\n')
    expect(messages.length).toBeGreaterThan(1_000)
    expect(messages.filter((message) => !message.includes('got a function'))).toEqual([])
    expect(messages).toContain(
      '`createPolicySource` takes an object with at least `store`, got a function; call it, and write `createPolicySource({ store: … })` around it',
    )
    expect(messages).toContain(
      '`ipWhitelist.policies` must be a policy source made by createPolicySource(), got a function; call it',
    )
  })

  it('is a single copy in a bundle, whose errors the package recognises', async () => {
    const project = await packed.project({})
    await writeFile(
      join(project.folder, 'app.mjs'),
      `import { createRequire } from 'node:module'
      import { ConfigError } from 'portcullis'
      import { policyStoreContract } from 'portcullis/testing'
      import { redisNonces } from 'portcullis/redis'
      const { ConfigError: Other, isPortcullisError } = createRequire(import.meta.url)('portcullis')
      const thrown = (call) => { try { call() } catch (error) { return error } }
      const error = thrown(() => redisNonces())
      console.log(typeof policyStoreContract, error instanceof ConfigError, error instanceof Other, isPortcullisError(error))`,
    )
    const outfile = join(project.folder, 'bundle.mjs')
    await build({
      entryPoints: [join(project.folder, 'app.mjs')],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    })
    expect(await must(process.execPath, [outfile], project.folder)).toBe('function true false true')
  })
})

/** Gives every function and class of the package to factories that expect something else. */
const givenFunctions = `
import * as portcullis from 'portcullis'
import * as redis from 'portcullis/redis'
import * as region from 'portcullis/region'
import * as store from 'portcullis/store'
import * as vault from 'portcullis/vault'
const { auditAccess, createPolicySource, ipWhitelist, memoryNonces, memoryStore, parsePolicy, protect, serverOnly } = portcullis
const policies = createPolicySource({ store: memoryStore() })
const nonces = memoryNonces()
const places = (f) => [
  () => createPolicySource(f),
  () => createPolicySource({ store: f }),
  () => createPolicySource({ store: memoryStore(), snapshot: f }),
  () => memoryStore(f),
  () => memoryStore([f]),
  () => memoryStore([{ policy: f }]),
  () => parsePolicy({ appId: 'a', name: f }),
  () => ipWhitelist(f),
  () => ipWhitelist({ policies: f }),
  () => auditAccess({ policies, sink: f }),
  () => serverOnly({ policies, nonces: f }),
  () => serverOnly({ policies, nonces, scheme: f }),
  () => protect(f),
  () => redis.redisStore(f),
  () => region.regionalStore({ regions: f, clients: {} }),
]
for (const door of [portcullis, redis, region, store, vault]) {
  for (const given of Object.values(door).filter((value) => typeof value === 'function')) {
    for (const place of places(given)) {
      try {
        place()
        console.log('not refused: ' + place)
      } catch (error) {
        console.log(error.message)
      }
    }
  }
}
`

const typedProgram = `
import express from 'express'
import { bodyParsers, ConfigError, createPolicySource, type Decision, ipWhitelist, memoryAuditSink, memoryNonces, memoryStore, protect } from 'portcullis'

const policies = createPolicySource({ store: memoryStore([]) })
const app = express()
app.use(bodyParsers())
app.use('/address', ipWhitelist({ policies, onReport: (decision: Decision) => console.log(decision.code) }))
app.get('/app', ipWhitelist({ policies }), (req, res) => {
  const id: string | undefined = req.portcullis.appId
  res.json({ id })
})
app.use(
  '/all',
  protect({
    policies,
    sink: memoryAuditSink(),
    nonces: memoryNonces(),
    here: 'london',
    country: () => 'DE',
    returnUrl: (req) => req.body?.return_url,
  }),
)
// @ts-expect-error -- a wrong option is found by the compiler
ipWhitelist({ policies, onDenied: () => {} })
export const option: string = new ConfigError('a', 'b', 'c').option
`

const policiesProgram = `
import { memoryStore, parsePolicy, type AppKey, type InitialApp, type PolicyInput } from 'portcullis'

const key: AppKey = { id: 'k', algorithm: 'hmac-sha256', secret: '' }
const constant = {
  appId: 'constant',
  name: 'Constant',
  serverOnly: { mode: 'enforce', maxAge: 60, requireDigest: true, requireContentType: true },
  ipWhitelist: { mode: 'report', ranges: [], deny: [], lists: [], denyLists: [] },
  domainProtect: { mode: 'enforce', domains: [], methods: [], headers: [], exposedHeaders: [], credentials: true,
    maxAge: 5, server: 'claim' },
  returnUrlGuard: { mode: 'off', urls: ['app:/x', { exact: 'https://example.org/done' }] },
  regionPin: { mode: 'enforce', onMisdirected: 'redirect', fallback: 'europe' },
  auditAccess: { mode: 'enforce', onSinkFailure: 'deny' },
  expect: [{ name: 'a page', request: { address: '127.0.0.1' }, effect: 'deny' }],
} satisfies PolicyInput
const apps: InitialApp[] = [{ policy: constant, keys: [key] }, { policy: parsePolicy(JSON.parse('{}')) }]
export const good = [memoryStore(apps), memoryStore([
  { policy: { appId: 'inline', ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.1'] } } },
  { policy: { appId: 'keys' }, keys: [{ id: 'k', algorithm: 'ed25519', secret: '', notAfter: '2030-01-01T00:00:00Z' }] },
])]
export const wrong = [
  // @ts-expect-error -- not a mode
  memoryStore([{ policy: { appId: 'a', serverOnly: { mode: 'enforced' } } }]),
  // @ts-expect-error -- not a member of the section
  memoryStore([{ policy: { appId: 'a', ipWhitelist: { mode: 'off', rangez: [] } } }]),
  // @ts-expect-error -- the id is missing
  memoryStore([{ policy: { ipWhitelist: { mode: 'off' } } }]),
]
`

const loadAll = (imports: readonly string[]): string =>
  imports
    .map(
      (name, index) =>
        `import type * as all${index} from '${name}'\nexport type All${index} = typeof all${index}`,
    )
    .join('\n')

/**
 * Values that a project exports from a file. The compiler must be able to name their types through the package's
 * entries.
 */
const handedOn = `
import * as p from 'portcullis'

export const store = p.memoryStore()
export const policies = p.createPolicySource({ store })
export const [sink, nonces, scheme] = [p.memoryAuditSink(), p.memoryNonces(), p.httpMessageSignatures()]
export const shared = { policies, appId: p.appIdFrom({ header: 'x-app-id' }) }
const region = { here: 'london', country: () => 'DE' }
const returnUrl = { query: 'return_url' }
export const guard = p.protect({ ...shared, ...region, sink, nonces, returnUrl })
export const parsers = p.bodyParsers()
export const audit = p.auditAccess({ ...shared, sink })
export const guards = [p.ipWhitelist(shared), p.domainProtect(shared), p.serverOnly({ ...shared, nonces }),
  p.returnUrlGuard({ ...shared, returnUrl }), p.regionPin({ ...shared, ...region })]
export const files = p.fileStore('policies.json')
export const [policy, findings, score] = [p.parsePolicy({}), p.lintPolicy({}), p.scorePolicy({})]
export const [explained, changes] = [p.explain({}, { url: 'https://a.example' }), p.diffPolicies({}, {})]
export const { comparisons } = explained
export const [events, status, jurisdictions] = [sink.events(), policies.status(), { ...p.DEFAULT_JURISDICTIONS }]
`

describe('typed', () => {
  it.each(['mts', 'cts'])(
    'a program in a .%s file compiles, including the declarations of the package',
    async (format) => {
      const links = ['express', '@types/express', '@types/node', 'ioredis']
      const project = await packed.project(Object.fromEntries(links.map((name) => [name, name])))
      const entries = Object.keys(manifest.exports).filter((entry) => !entry.endsWith('.json'))
      const everything = loadAll(entries.map((entry) => join('portcullis', entry)))
      await writeFile(join(project.folder, `app.${format}`), typedProgram)
      await writeFile(join(project.folder, `all.${format}`), everything)
      await writeFile(join(project.folder, `policies.${format}`), policiesProgram)
      await writeFile(join(project.folder, `handed-on.${format}`), handedOn)
      const compilerOptions = {
        target: 'es2023',
        lib: ['es2023'],
        module: 'nodenext',
        types: ['node'],
        noEmit: true,
        declaration: true,
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
      }
      const include = [`*.${format}`]
      await writeFile(join(project.folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include }))
      const compiler = join(repository, 'node_modules', '.bin', 'tsc')
      const { output } = await run(compiler, ['-p', project.folder, '--pretty', 'false'])
      expect(output).toBe('')
    },
    60_000,
  )
})
