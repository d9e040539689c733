import { connect } from 'node:tls'
import { generate } from 'selfsigned'
import { startRedis, type RedisServer } from './redis.ts'

/** A Redis server that accepts only TLS. */
export interface TlsRedis extends RedisServer {
  /** The certificate to trust, as PEM, for `127.0.0.1` and `localhost`. */
  readonly ca: string
}

/** Starts a server with a new certificate. `args` as for {@link startRedis}. */
export async function startTlsRedis(options: { args?: readonly string[] } = {}): Promise<TlsRedis> {
  const { args = [] } = options
  const { private: key, cert: ca } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  })
  const certificate = ['--tls-cert-file', 'server.crt', '--tls-key-file', 'server.key']
  const authority = ['--tls-ca-cert-file', 'server.crt', '--tls-auth-clients', 'no']
  const server = await startRedis({
    args: (port) => ['--port', '0', '--tls-port', String(port), ...certificate, ...authority, ...args],
    files: { 'server.crt': ca, 'server.key': key },
    connect: (port) => connect({ host: '127.0.0.1', port, ca }),
  })
  // Not a copy, because its process id changes.
  return Object.assign(server, { url: `rediss://127.0.0.1:${server.port}`, ca })
}
