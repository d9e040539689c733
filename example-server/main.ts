import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { createPolicySource, memoryAuditSink, memoryNonces, memoryStore } from 'portcullis'
import { redisAuditSink, redisNonces, redisStore } from 'portcullis/redis'
import { createVault } from 'portcullis/vault'
import { createExampleApp } from './app.ts'
import { banner, createDemoApps, DEMO_APPS } from './demo-apps.ts'
import { readSettings, SettingError, type Settings } from './settings.ts'
import { memoryStorage, redisStorage } from './storage.ts'
import { createUkey1 } from './ukey1.ts'

/** How long requests may take to finish when the server is told to stop, in milliseconds. */
const SHUTDOWN_LIMIT = 4_000
const REDIS_START_LIMIT = 3_000

/** Everything that is kept, on memory or on Redis. */
async function openStorage({ redisUrl, secrets }: Settings) {
  if (redisUrl === undefined) {
    return {
      store: memoryStore(),
      storage: memoryStorage(),
      nonces: memoryNonces(),
      sink: memoryAuditSink(),
      close: () => undefined,
    }
  }
  // Nothing waits for a Redis that is away: requests are refused at once, and pass again when it is back.
  const redis = new Redis(redisUrl, {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 500,
    connectTimeout: 1_000,
    retryStrategy: (tries) => Math.min(1_000, 50 * tries),
  })
  redis.on('error', () => undefined)
  const limit = new Promise<never>((_resolve, reject) => {
    setTimeout(() => reject(new Error('no answer in time')), REDIS_START_LIMIT).unref()
  })
  await Promise.race([redis.connect().then(() => redis.ping()), limit]).catch((error: unknown) => {
    redis.disconnect()
    throw new SettingError(
      `REDIS_URL must lead to a Redis server that answers; it gave: ${(error as Error).message}`,
    )
  })
  // What one SECRET_KEY has sealed no other can read, so each has a part of the keys of its own.
  const prefix = `example:${secrets.fingerprint}:`
  const store = redisStore(redis, {
    prefix,
    vault: createVault({ keys: [{ id: 'root', key: secrets.vault }] }),
  })
  return {
    store,
    storage: redisStorage(redis, prefix),
    nonces: redisNonces(redis, { prefix }),
    sink: redisAuditSink(redis, { stream: `${prefix}audit` }),
    close() {
      store.close()
      redis.disconnect()
    },
  }
}

async function start(): Promise<void> {
  const settings = readSettings(process.env)
  const { store, storage, nonces, sink, close } = await openStorage(settings)
  const policies = createPolicySource({ store })
  const vault = createVault({ keys: [{ id: 'root', key: settings.secrets.vault }] })
  const apps = settings.ukey1Apps
  const ukey1 = apps.length === 0 ? undefined : createUkey1({ storage, vault, apps })
  let publicUrl = settings.publicUrl ?? ''
  const app = await createExampleApp({
    settings,
    store,
    policies,
    storage,
    nonces,
    sink,
    ukey1,
    demoApps: DEMO_APPS,
    publicUrl: () => publicUrl,
    onFault: (error) => console.error(`fault: ${error instanceof Error ? error.stack : typeof error}`),
  })
  const server = createServer(app)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(settings.port, settings.host, resolve)
  }).catch((error: NodeJS.ErrnoException) => {
    close()
    const name = error.code === 'EADDRINUSE' || error.code === 'EACCES' ? 'PORT' : 'HOST'
    const given = name === 'PORT' ? settings.port : settings.host
    throw new SettingError(
      `${name} must be one that this process can listen on; it is ${JSON.stringify(given)} (${error.code})`,
    )
  })
  const { port } = server.address() as AddressInfo
  const host = settings.host === '0.0.0.0' || settings.host === '::' ? '127.0.0.1' : settings.host
  const local = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  publicUrl ||= local

  const demo = await createDemoApps(store, publicUrl)
  const legacy = await Promise.all(
    apps.map(async (app) => {
      const secretKey = await ukey1?.issue(app)
      return `legacy: ${app} may sign by the scheme of Ukey1${secretKey === undefined ? '' : ` for 90 days; its Secret Key: ${secretKey}`}`
    }),
  )
  const notes = [
    settings.redisUrl === undefined
      ? 'embedded store: everything is forgotten when the server stops (REDIS_URL keeps it in Redis)'
      : 'store: Redis',
    `this instance runs in ${settings.region} (REGION): it serves the citizens of ${settings.region === 'dallas' ? 'the world outside Europe' : 'Europe'}`,
    ...(settings.secretsAreTemporary
      ? ['SECRET_KEY is not set: made up for this run, so what is stored cannot be read after it']
      : []),
    ...legacy,
  ]
  let stopping = false
  const stop = (): void => {
    if (stopping) return
    stopping = true
    // Requests that run may finish; connections that idle are closed at once.
    server.close(() => {
      policies.close()
      close()
    })
    setTimeout(() => server.closeAllConnections(), SHUTDOWN_LIMIT).unref()
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  console.log(banner(publicUrl, demo, notes))
}

start().catch((error: unknown) => {
  console.error(error instanceof SettingError ? `Cannot start: ${error.message}` : error)
  process.exit(1)
})
