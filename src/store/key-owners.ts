import { createHmac, randomBytes } from 'node:crypto'
import { PolicyError, type PolicyIssue } from '../errors.ts'
import { finding, type PolicyFinding } from '../lint/finding.ts'
import type { AppKey } from '../signature/keys.ts'
import type { Vault } from '../vault/vault.ts'

/** The content of a fingerprint. If two apps have the same id and secret, a message signed with it is valid for both. */
function fingerprinted({ id, secret }: Pick<AppKey, 'id' | 'secret'>): string {
  return JSON.stringify([id, secret])
}

/**
 * The fingerprints of a key, one under each key of the vault, for a store that keeps them. Store the first one, and search for
 * all of them, because older fingerprints were made before the vault was rotated.
 */
export function keyFingerprints(vault: Vault, key: AppKey): readonly string[] {
  return vault.fingerprints(fingerprinted(key), 'app-key')
}

/** Why the key at `index` is refused. The issue does not reveal the secret. */
export function sharedKeyIssue(index: number, owner: string): PolicyIssue {
  return {
    path: `keys[${index}]`,
    message: `has the id and the secret of a key of app \`${owner}\`; every app needs keys of its own`,
  }
}

/**
 * Which app has which key, for stores that hold all apps in one process. Two apps must not share a key (id and secret), because a
 * message signed by one would pass for the other. Only fingerprints are kept, under a random key that never leaves this object.
 */
export class KeyOwners {
  readonly #key = randomBytes(32)
  readonly #owners = new Map<string, string>()

  /** @throws PolicyError with an issue for each key that another app has. */
  check(appId: string, keys: readonly AppKey[]): void {
    const issues = keys.flatMap((key, index) => {
      const owner = this.#owners.get(this.#fingerprint(key))
      return owner === undefined || owner === appId ? [] : [sharedKeyIssue(index, owner)]
    })
    if (issues.length > 0) throw new PolicyError(issues)
  }

  /** Replaces the keys `before` of the app with the keys `after`. */
  replace(appId: string, before: readonly AppKey[], after: readonly AppKey[]): void {
    for (const key of before) this.#owners.delete(this.#fingerprint(key))
    for (const key of after) this.#owners.set(this.#fingerprint(key), appId)
  }

  #fingerprint(key: AppKey): string {
    return createHmac('sha256', this.#key).update(fingerprinted(key)).digest('base64')
  }
}

/**
 * Finds keys that two apps share, in data that was written before stores refused it, or by another program. Pass the id and the
 * result of `store.read` of each app.
 */
export function lintKeys(
  apps: readonly { readonly appId: string; readonly keys: readonly AppKey[] }[],
): readonly PolicyFinding[] {
  const owners = new KeyOwners()
  return apps.flatMap(({ appId, keys }) => {
    try {
      owners.check(appId, keys)
      owners.replace(appId, [], keys)
      return []
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error
      return error.issues.map(({ path, message }) => finding('shared-key', `${appId}.${path}`, message))
    }
  })
}
