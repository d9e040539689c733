import { hkdfSync } from 'node:crypto'

/** One key for each use, all derived from `SECRET_KEY`. */
export interface Secrets {
  readonly vault: Uint8Array
  readonly emailIndex: Uint8Array
  readonly csrf: Uint8Array
  readonly pseudonyms: Uint8Array
  /** Signs the cookie by which a browser is known to an account. */
  readonly devices: Uint8Array
  /** Hides network addresses where tries are counted. */
  readonly limits: Uint8Array
  /** Not a secret: tells apart what was stored under which key. */
  readonly fingerprint: string
}

/** RFC 5869. */
export function deriveSecrets(root: Uint8Array): Secrets {
  const derive = (use: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', root, '', `example-server ${use}`, 32))
  return {
    vault: derive('vault'),
    emailIndex: derive('email index'),
    csrf: derive('csrf'),
    pseudonyms: derive('pseudonyms'),
    devices: derive('devices'),
    limits: derive('limits'),
    fingerprint: Buffer.from(derive('fingerprint')).toString('hex').slice(0, 12),
  }
}
