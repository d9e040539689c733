import { randomBytes } from 'node:crypto'
import { PolicyError, UnavailableError } from '../errors.ts'
import type { AppKey } from '../signature/keys.ts'
import { keyFingerprints, sharedKeyIssue } from '../store/key-owners.ts'
import type { Vault } from '../vault/vault.ts'
import type { SendCommand } from './client.ts'
import { fields } from './documents.ts'
import type { Keyspace } from './keyspace.ts'
import { CLAIM_KEY, RELEASE_KEY, UNCLAIM_KEY } from './scripts.ts'

/** How long a claim is valid if its app does not list the key, in milliseconds: longer than a write can take. */
const LEASE = 120_000
const MAX_CLAIMS = 5

interface Claim {
  readonly print: string
  /** The new claim, if the app had none before. */
  readonly made?: string
  /** The other app that has the key. */
  readonly owner: string | undefined
}

/**
 * Which app has which key, by a fingerprint under a key of the vault. On a Cluster, a fingerprint and its app may be in different
 * slots, so the claim is a separate step before the write, and the release a separate step after it.
 *
 * A claim is valid while its app lists the fingerprint, or for the duration of the lease, because the app may be about to be
 * written. So the next app can take over a claim that was left by a crash, a lost write or a removal.
 */
export class KeyClaims {
  readonly #send: SendCommand
  readonly #keyspace: Keyspace
  readonly #vault: Vault | undefined

  constructor(send: SendCommand, keyspace: Keyspace, vault: Vault | undefined) {
    this.#send = send
    this.#keyspace = keyspace
    this.#vault = vault
  }

  /**
   * Claims the keys for an app that is about to be written as `revision`. Returns the fingerprints that the app must list.
   * Rejects with `PolicyError` if another app has one of the keys.
   */
  async claim(appId: string, revision: number, keys: readonly AppKey[]): Promise<readonly string[]> {
    const claims = await Promise.all(keys.map((key) => this.#claimOne(appId, revision, key)))
    const issues = claims.flatMap(({ owner }, index) =>
      owner === undefined ? [] : [sharedKeyIssue(index, owner)],
    )
    if (issues.length === 0) return claims.map(({ print }) => print)
    // A refused write must not leave claims that block other apps.
    await Promise.all(
      claims.map(async ({ print, made }) => {
        if (made !== undefined) await this.#send('EVAL', UNCLAIM_KEY, 1, this.#keyspace.keyOwner(print), made)
      }),
    )
    throw new PolicyError(issues)
  }

  /** Called after the app was written as `revision` without keys that it had before. */
  async release(appId: string, revision: number, prints: readonly string[]): Promise<void> {
    await Promise.all(
      prints.map((print) =>
        this.#send('EVAL', RELEASE_KEY, 1, this.#keyspace.keyOwner(print), appId, revision),
      ),
    )
  }

  async #claimOne(appId: string, revision: number, key: AppKey): Promise<Claim> {
    // The first fingerprint is under the active key of the vault. The others find claims made before the vault was rotated.
    const [print = '', ...older] = this.#vault === undefined ? [] : keyFingerprints(this.#vault, key)
    let stale = ''
    for (let claims = 0; claims < MAX_CLAIMS; claims += 1) {
      const made = `${appId} ${revision} ${Date.now()} ${randomBytes(6).toString('base64url')}`
      const at = [this.#keyspace.keyOwner(print), appId, made, stale]
      const held = await this.#send('EVAL', CLAIM_KEY, 1, ...at)
      if (typeof held !== 'string') return { print, made, owner: await this.#ownerOfAny(appId, older) }
      if (held.startsWith(`${appId} `)) return { print, owner: await this.#ownerOfAny(appId, older) }
      const owner = await this.#ownerBy(print, held)
      if (owner !== undefined) return { print, owner }
      stale = held
    }
    throw new UnavailableError('several apps keep claiming a key in turn')
  }

  async #ownerOfAny(appId: string, prints: readonly string[]): Promise<string | undefined> {
    for (const print of prints) {
      const held = await this.#send('GET', this.#keyspace.keyOwner(print))
      const owner = typeof held === 'string' ? await this.#ownerBy(print, held) : undefined
      if (owner !== undefined && owner !== appId) return owner
    }
    return undefined
  }

  /** The app of the claim, if the claim is still valid. */
  async #ownerBy(print: string, held: string): Promise<string | undefined> {
    const [owner = '', , at] = held.split(' ')
    const [prints] = fields(await this.#send('HMGET', this.#keyspace.app(owner), 'prints'))
    if (typeof prints === 'string' && prints.split(' ').includes(print)) return owner
    return Math.abs(Date.now() - Number(at)) < LEASE ? owner : undefined
  }
}
