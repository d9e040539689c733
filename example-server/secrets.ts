import { createHmac, hkdfSync } from 'node:crypto'
import { createVault, type Vault, type VaultKey } from 'portcullis/vault'

/** One key for each use. All are derived from `SECRET_KEY`, except those that `VAULT_KEY` and the related settings give. */
export interface Secrets {
  /** The keys that encrypt stored data, the active key first. */
  readonly vaultKeys: readonly VaultKey[]
  readonly emailIndex: Uint8Array
  readonly csrf: Uint8Array
  readonly pseudonyms: Uint8Array
  /** Encrypts the recorded input of the guards, so that the console can judge a request again. */
  readonly judgements: Uint8Array
  /** Signs the cookie that shows that an account has signed in with this browser before. */
  readonly devices: Uint8Array
  /** Hides network addresses in the counters of attempts. */
  readonly limits: Uint8Array
  /** Not secret. Distinguishes data that was stored under different keys. */
  readonly fingerprint: string
}

/** Keys of the vault that are not derived from `SECRET_KEY`. */
export interface GivenVaultKeys {
  /** The key that encrypts. Default: the derived key. */
  readonly active?: Uint8Array | undefined
  readonly decryptOnly?: readonly Uint8Array[]
  /** The ids of keys that no longer decrypt anything; the derived key is `root`. */
  readonly destroyed?: readonly string[]
}

/** The id of the key that is derived from `SECRET_KEY`. */
export const ROOT = 'root'

/** Derives the id of a given key from the key, so that two keys never have the same id. The id reveals nothing about the key. */
export const idOfKey = (key: Uint8Array): string =>
  `key-${createHmac('sha256', key).update('example-server id of a key').digest('hex').slice(0, 12)}`

/** Derives one key for each use with HKDF (RFC 5869). */
export function deriveSecrets(root: Uint8Array, given: GivenVaultKeys = {}): Secrets {
  const derive = (use: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', root, '', `example-server ${use}`, 32))
  return {
    vaultKeys: ringOf(derive('vault'), given),
    emailIndex: derive('email index'),
    csrf: derive('csrf'),
    pseudonyms: derive('pseudonyms'),
    judgements: derive('judgements'),
    devices: derive('devices'),
    limits: derive('limits'),
    fingerprint: Buffer.from(derive('fingerprint')).toString('hex').slice(0, 12),
  }
}

function ringOf(
  derived: Uint8Array,
  { active, decryptOnly = [], destroyed = [] }: GivenVaultKeys,
): readonly VaultKey[] {
  const all = [
    ...(active === undefined ? [] : [{ id: idOfKey(active), key: active }]),
    { id: ROOT, key: derived },
    ...decryptOnly.map((key) => ({ id: idOfKey(key), key })),
  ]
  return [
    ...all.filter(({ id }) => !destroyed.includes(id)),
    ...destroyed.map((id) => ({ id, state: 'destroyed' as const })),
  ]
}

/** Creates the vault that encrypts stored data. */
export const vaultOf = ({ vaultKeys }: Pick<Secrets, 'vaultKeys'>): Vault => createVault({ keys: vaultKeys })

/** Creates the vault of the blind index of email addresses. Its key never changes. */
export const indexVaultOf = ({ emailIndex }: Pick<Secrets, 'emailIndex'>): Vault =>
  createVault({ keys: [{ id: ROOT, key: emailIndex }] })
