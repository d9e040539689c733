import { hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { UnreadableError } from '../errors.ts'
import { isAppId } from '../names.ts'
import type { AppPage, AppRevision, ListedApp, ListedKey, StoredApp } from '../store/contract.ts'
import { isUse, listKeys } from '../store/key-uses.ts'
import type { checkHistoryPage, checkListPage } from '../store/records.ts'
import { texts, type SendCommand } from './client.ts'
import { fields, parseStored, revisionOf, type Documents } from './documents.ts'
import type { Feed } from './feed.ts'
import type { Keyspace } from './keyspace.ts'

/** How often a read is repeated if the keys of the app are replaced during it. */
const MAX_READS = 5

/** How long a read waits for the first write of an app to finish, in milliseconds. */
const FIRST_WRITE = 10

/** Reads apps, one at a time or page by page. Every method rejects as `PolicyStore.read` does. */
export class AppReading {
  readonly #send: SendCommand
  readonly #keyspace: Keyspace
  readonly #documents: Documents
  readonly #feed: Pick<Feed, 'checkStore'>

  constructor(send: SendCommand, keyspace: Keyspace, documents: Documents, feed: Pick<Feed, 'checkStore'>) {
    this.#feed = feed
    this.#send = send
    this.#keyspace = keyspace
    this.#documents = documents
  }

  async read(appId: string): Promise<StoredApp | undefined> {
    if (!isAppId(appId)) return undefined
    const { app: appKey, secrets: secretsKey } = this.#keyspace
    for (let reads = 0; reads < MAX_READS; reads += 1) {
      const [found, secrets] = await Promise.all([
        this.#send('HMGET', appKey(appId), 'policy', 'revision', 'removed', 'secrets'),
        this.#send('HMGET', secretsKey(appId), 'revision', 'sealed'),
      ])
      const [policy, revision, removed, secretsRevision] = fields(found)
      const [sealedAt, sealed] = fields(secrets)
      // The keys were replaced between the two reads, so they do not match the policy.
      if (secretsRevision !== sealedAt) continue
      if (policy === null && removed === '1') return undefined
      if (policy === null && revision === null) {
        if (!(await this.#isListed(appId))) return undefined
        // While an app is first written, it is listed but has no data yet.
        await sleep(FIRST_WRITE)
        continue
      }
      const app = { ...parseStored(appId, policy, revision), keys: this.#documents.openKeys(appId, sealed) }
      return { ...app, version: hash('sha256', `${String(policy)}\0${String(sealed)}`, 'base64') }
    }
    throw new UnreadableError(
      'a stored app is damaged or lost, or its keys are replaced faster than they can be read',
    )
  }

  /** Whether an app without data was ever written. A removed app keeps its revision. */
  async #isListed(appId: string): Promise<boolean> {
    const [known] = await Promise.all([
      this.#send('ZSCORE', this.#keyspace.apps, appId),
      this.#feed.checkStore(this.#send),
    ])
    return known !== null
  }

  async list({ after, limit }: ReturnType<typeof checkListPage>): Promise<AppPage> {
    const apps: ListedApp[] = []
    for (let from = after; ;) {
      const start = from === '' ? '-' : `(${from}`
      const reply = await this.#send('ZRANGEBYLEX', this.#keyspace.apps, start, '+', 'LIMIT', 0, limit + 1)
      const ids = texts(reply)
      apps.push(...(await this.#existing(ids.filter(isAppId))))
      if (apps.length > limit) return { apps: apps.slice(0, limit), next: apps[limit - 1]?.appId }
      if (ids.length <= limit) return { apps, next: undefined }
      from = ids.at(-1) as string
    }
  }

  /** The apps with these ids that exist now. */
  async #existing(ids: readonly string[]): Promise<ListedApp[]> {
    const found = await Promise.all(
      ids.map((appId) => this.#send('HMGET', this.#keyspace.app(appId), 'policy', 'revision')),
    )
    return ids.flatMap((appId, index) => {
      const [policy, revision] = fields(found[index])
      return policy === null ? [] : [{ appId, ...parseStored(appId, policy, revision) }]
    })
  }

  async history(
    appId: string,
    { before, limit }: ReturnType<typeof checkHistoryPage>,
  ): Promise<readonly AppRevision[]> {
    if (!isAppId(appId)) return []
    const key = this.#keyspace.history(appId)
    const [newest] = texts(await this.#send('LRANGE', key, -1, -1))
    // Revisions have no gaps, so the position follows from the revision.
    const newer = Math.max(0, revisionOf(newest) - before + 1)
    const page = texts(await this.#send('LRANGE', key, -(newer + limit), -(newer + 1)))
    const revisions = page.map((entry) => this.#documents.openRevision(appId, entry))
    return revisions.filter(({ revision }) => revision < before).reverse()
  }

  async keys(appId: string): Promise<readonly ListedKey[] | undefined> {
    const keys = (await this.read(appId))?.keys
    if (keys === undefined) return undefined
    const ats = await Promise.all(keys.map(({ id }) => this.#send('GET', this.#keyspace.used(appId, id))))
    const uses = new Map(keys.map(({ id }, index) => [id, ats[index]]))
    return listKeys(keys, (keyId) => {
      const at = Number(uses.get(keyId) ?? Number.NaN)
      return isUse(at) ? at : undefined
    })
  }
}
