import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import { hashPassword } from 'portcullis/vault'
import { regionalHomes } from './homes.ts'
import { createLog } from './log.ts'
import { createPeople } from './people.ts'
import { deriveSecrets, indexVaultOf, vaultOf } from './secrets.ts'

/**
 * Starts a Redis server for each location, signs up fictional people of several countries, and starts the example
 * server. The page /regions shows what each location stores. Type `kill frankfurt`, look at the page, then type `start
 * frankfurt`.
 *
 * Run with `npm run demo:regions`; needs `redis-server` on the PATH, or REDIS_SERVER_BIN.
 */
const LOCATIONS = ['london', 'frankfurt', 'dallas'] as const
const SAMPLES = [
  ['Zoé', 'Dupont', 'FR'],
  ['Jonas', 'Weber', 'DE'],
  ['Amelia', 'Clarke', 'GB'],
  ['Grace', 'Miller', 'US'],
  ['João', 'Silva', 'BR'],
  ['Yuki', 'Tanaka', 'JP'],
] as const

const home = mkdtempSync(join(tmpdir(), 'portcullis-demo-regions-'))
const program = process.env['REDIS_SERVER_BIN'] ?? 'redis-server'
const running = new Map<string, ChildProcess>()
const ports = new Map<string, number>()
for (const location of LOCATIONS) ports.set(location, await freePort())

process.on('exit', () => {
  for (const server of running.values()) server.kill('SIGKILL')
  rmSync(home, { recursive: true, force: true })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const urlOf = (location: string): string => `redis://127.0.0.1:${ports.get(location)}`

/** Starts the Redis of a location, and waits until it answers. It loads its earlier data from its append-only file. */
async function start(location: string): Promise<void> {
  if (running.has(location)) return
  const where = ['--dir', home, '--appenddirname', location, '--bind', '127.0.0.1']
  const keeping = ['--port', String(ports.get(location)), '--appendonly', 'yes', '--save', '']
  const server = spawn(program, [...where, ...keeping], { stdio: 'ignore' })
  running.set(location, server)
  server.once('error', () => {
    console.error(
      `Cannot start ${program}. Install Redis, or set REDIS_SERVER_BIN to the path of a Redis server.`,
    )
    process.exit(1)
  })
  server.unref()
  const client = new Redis(urlOf(location), { maxRetriesPerRequest: null, retryStrategy: () => 50 })
  client.on('error', () => undefined)
  await client.ping()
  client.disconnect()
}

async function kill(location: string): Promise<void> {
  const server = running.get(location)
  if (server === undefined) return
  running.delete(location)
  await new Promise((resolve) => {
    server.ref()
    server.once('exit', resolve)
    server.kill('SIGKILL')
  })
}

/** Signs up the fictional people. Their passwords are random and not stored anywhere. */
async function signUpSamples(secretKey: string): Promise<void> {
  const secrets = deriveSecrets(Buffer.from(secretKey, 'base64'))
  const urls = Object.fromEntries(LOCATIONS.map((location) => [location, urlOf(location)]))
  const log = createLog({ production: false })
  const homes = await regionalHomes(urls, `example:${secrets.fingerprint}:`, log)
  const people = createPeople(homes, vaultOf(secrets), indexVaultOf(secrets))
  for (const [firstname, surname, country] of SAMPLES) {
    const email = `${surname}.${country}@people.example`.toLowerCase()
    const profile = { firstname, surname, email, country, image: '', language: 'en' }
    await people.signUp(profile, await hashPassword(randomBytes(16).toString('base64url')))
  }
  homes.close()
}

for (const location of LOCATIONS) await start(location)
process.env['SECRET_KEY'] ??= randomBytes(32).toString('base64')
for (const location of LOCATIONS) process.env[`REDIS_${location.toUpperCase()}_URL`] = urlOf(location)
await signUpSamples(process.env['SECRET_KEY'])
await import('./main.ts')
console.log(
  '\nOpen /regions in a browser, and type `kill frankfurt` or `start frankfurt` here. Press Ctrl+C to stop everything.',
)

const lines = createInterface({ input: process.stdin })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => lines.close())
for await (const line of lines) {
  const [, what, location = ''] = /^\s*(kill|start)\s+(london|frankfurt|dallas)\s*$/.exec(line) ?? []
  if (what === undefined) console.log('Type `kill` or `start`, followed by london, frankfurt or dallas.')
  else {
    await (what === 'kill' ? kill(location) : start(location))
    console.log(`${location}: ${what === 'kill' ? 'killed' : 'started'}`)
  }
}
