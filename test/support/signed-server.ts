/**
 * A server process with `serverOnly`, and policies and nonces in Redis. Forked with the settings below, as JSON. It
 * sends its port to the parent, and exits on request.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Cluster, Redis } from 'ioredis'
import { createPolicySource, serverOnly } from 'portcullis'
import { redisNonces, redisStore } from 'portcullis/redis'
import { createVault } from 'portcullis/vault'

export interface SignedServerSettings {
  /** The port of Redis, or some ports of a Cluster. */
  readonly ports: readonly number[]
  readonly prefix: string
  /** Base64. */
  readonly vaultKey: string
}

const { ports, prefix, vaultKey } = JSON.parse(process.argv[2] ?? '') as SignedServerSettings
const [port = 0, ...others] = ports
const redis =
  others.length === 0
    ? new Redis({ port, disconnectTimeout: 50 })
    : new Cluster(
        ports.map((each) => ({ host: '127.0.0.1', port: each })),
        { redisOptions: { disconnectTimeout: 50 } },
      )
redis.on('error', () => undefined)
const vault = createVault({ keys: [{ id: 'k', key: vaultKey }] })
const store = redisStore(redis, { prefix, vault })
const policies = createPolicySource({ store })
// A thousand concurrent requests on a small machine wait longer than a command may take in production.
const nonces = redisNonces(redis, { prefix, commandTimeout: 10_000 })
const guard = serverOnly({ policies, nonces, nonceTimeout: 10_000 })

const server = createServer((req, res) => guard(req, res, () => res.end('{"code":"PASSED"}')))
server.listen(0, '127.0.0.1', () => {
  process.send?.((server.address() as AddressInfo).port)
})

process.on('message', () => {
  server.close()
  server.closeAllConnections()
  policies.close()
  store.close()
  redis.disconnect()
  process.disconnect()
})
process.on('disconnect', () => setTimeout(() => process.exit(1), 1_000).unref())
