import { createHmac, randomBytes } from 'node:crypto'
import { PolicyError, type PolicyIssue } from '../errors.ts'
import { finding, type PolicyFinding } from '../lint/finding.ts'
import type { AppKey } from '../signature/keys.ts'
import type { Vault } from '../vault/vault.ts'

/** What a fingerprint of a key is made of: a message that is signed with it verifies for every app that has both. */
function fingerprinted({ id, secret }: Pick<AppKey, 'id' | 'secret'>): string {
  return JSON.stringify([id, secret])
}

/**
 * The fingerprints of a key for a store that remembers them, under each key of the vault. Store the first, and look for all
 * of them, since older keys were stored before the vault was rotated.
 */
export function keyFingerprints(vault: Vault, key: AppKey): readonly string[] {
  return vault.fingerprints(fingerprinted(key), 'app-key')
}

/** Why the key at `index` is refused. Nothing of its secret is in it. */
export function sharedKeyIssue(index: number, owner: string): PolicyIssue {
  return {
    path: `keys[${index}]`,
    message: `has the id and the secret of a key of app \`${owner}\`; every app needs keys of its own`,
  }
}

/**
 * Which app has which key, for stores that hold all apps in one process. Two apps must not have the same key, id and
 * secret: what one of them signs would pass for the other. Keys are remembered by a keyed fingerprint, whose key is random
 * and known to this object alone.
 */
export class KeyOwners {
  readonly #key = randomBytes(32)
  readonly #owners = new Map<string, string>()

  /** @throws PolicyError for each of the keys that another app has. */
  check(appId: string, keys: readonly AppKey[]): void {
    const issues = keys.flatMap((key, index) => {
      const owner = this.#owners.get(this.#fingerprint(key))
      return owner === undefined || owner === appId ? [] : [sharedKeyIssue(index, owner)]
    })
    if (issues.length > 0) throw new PolicyError(issues)
  }

  /** The app has these keys from now on, and not those that it had before. */
  replace(appId: string, before: readonly AppKey[], after: readonly AppKey[]): void {
    for (const key of before) this.#owners.delete(this.#fingerprint(key))
    for (const key of after) this.#owners.set(this.#fingerprint(key), appId)
  }

  #fingerprint(key: AppKey): string {
    return createHmac('sha256', this.#key).update(fingerprinted(key)).digest('base64')
  }
}

/**
 * What is wrong with the keys of several apps, seen together: a key that two apps have. For data that was written before
 * stores refused it, or by another program. Pass what `store.read` gave for each app, with its id.
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
