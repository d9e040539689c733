import { createHmac, hkdfSync } from 'node:crypto'
import { createVault, type Vault, type VaultKey } from 'portcullis/vault'

/** One key for each use, all derived from `SECRET_KEY`, but for the keys that `VAULT_KEY` and its neighbours give. */
export interface Secrets {
  /** What encrypts stored data, the active key first. */
  readonly vaultKeys: readonly VaultKey[]
  readonly emailIndex: Uint8Array
  readonly csrf: Uint8Array
  readonly pseudonyms: Uint8Array
  /** Encrypts what the guards were told of each request, for the console to judge it again. */
  readonly judgements: Uint8Array
  /** Signs the cookie by which a browser is known to an account. */
  readonly devices: Uint8Array
  /** Hides network addresses where tries are counted. */
  readonly limits: Uint8Array
  /** Not a secret: tells apart what was stored under which key. */
  readonly fingerprint: string
}

/** Keys of the vault that are not derived from `SECRET_KEY`. */
export interface GivenVaultKeys {
  /** It encrypts. Default: the derived key. */
  readonly active?: Uint8Array | undefined
  readonly decryptOnly?: readonly Uint8Array[]
  /** The ids of keys that decrypt nothing any more; the derived one is called `root`. */
  readonly destroyed?: readonly string[]
}

/** The key that is derived from `SECRET_KEY`. */
export const ROOT = 'root'

/** The id of a given key follows from it, so that nobody can give one id to two keys. It says nothing of the key. */
export const idOfKey = (key: Uint8Array): string =>
  `key-${createHmac('sha256', key).update('example-server id of a key').digest('hex').slice(0, 12)}`

/** RFC 5869. */
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

/** What encrypts stored data. */
export const vaultOf = ({ vaultKeys }: Pick<Secrets, 'vaultKeys'>): Vault => createVault({ keys: vaultKeys })

/** What names email addresses without telling them. Its key does not change. */
export const indexVaultOf = ({ emailIndex }: Pick<Secrets, 'emailIndex'>): Vault =>
  createVault({ keys: [{ id: ROOT, key: emailIndex }] })
