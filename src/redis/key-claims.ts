import { randomBytes } from 'node:crypto'
import { PolicyError, UnavailableError } from '../errors.ts'
import type { AppKey } from '../signature/keys.ts'
import { keyFingerprints, sharedKeyIssue } from '../store/key-owners.ts'
import type { Vault } from '../vault/vault.ts'
import type { SendCommand } from './client.ts'
import { fields } from './documents.ts'
import type { Keyspace } from './keyspace.ts'
import { CLAIM_KEY, RELEASE_KEY, UNCLAIM_KEY } from './scripts.ts'

/** For how long a claim counts of which the app knows nothing, in milliseconds: longer than a write can take. */
const LEASE = 120_000
const MAX_CLAIMS = 5

interface Claim {
  readonly print: string
  /** The claim, where the app had none before. */
  readonly made?: string
  /** Another app that has the key. */
  readonly owner: string | undefined
}

/**
 * Which app has which key, by a fingerprint under a key of the vault. On a Cluster a fingerprint may lie in another slot
 * than its app, so a claim comes before the write and its release after it, each in a step of its own.
 *
 * A claim alone refuses nobody for long: it counts when its app lists the fingerprint, or for the lease, in which the app
 * may be about to be written. So what a crash, a lost write or a removal leaves behind is taken over by the next app.
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
   * Claims the keys for an app that is about to be written as `revision`. Answers with what the app must list.
   * Rejects with `PolicyError` when another app has one of them.
   */
  async claim(appId: string, revision: number, keys: readonly AppKey[]): Promise<readonly string[]> {
    const claims = await Promise.all(keys.map((key) => this.#claimOne(appId, revision, key)))
    const issues = claims.flatMap(({ owner }, index) =>
      owner === undefined ? [] : [sharedKeyIssue(index, owner)],
    )
    if (issues.length === 0) return claims.map(({ print }) => print)
    // What is not written must keep nobody from a key, least of all the app that has it.
    await Promise.all(
      claims.map(async ({ print, made }) => {
        if (made !== undefined) await this.#send('EVAL', UNCLAIM_KEY, 1, this.#keyspace.keyOwner(print), made)
      }),
    )
    throw new PolicyError(issues)
  }

  /** After the app was written as `revision` without keys that it had before. */
  async release(appId: string, revision: number, prints: readonly string[]): Promise<void> {
    await Promise.all(
      prints.map((print) =>
        this.#send('EVAL', RELEASE_KEY, 1, this.#keyspace.keyOwner(print), appId, revision),
      ),
    )
  }

  async #claimOne(appId: string, revision: number, key: AppKey): Promise<Claim> {
    // The first is that of the key that seals now. Under the others it was claimed before the vault was rotated.
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

  /** The app that a claim is of, if it still counts. */
  async #ownerBy(print: string, held: string): Promise<string | undefined> {
    const [owner = '', , at] = held.split(' ')
    const [prints] = fields(await this.#send('HMGET', this.#keyspace.app(owner), 'prints'))
    if (typeof prints === 'string' && prints.split(' ').includes(print)) return owner
    return Math.abs(Date.now() - Number(at)) < LEASE ? owner : undefined
  }
}
