import { isPortcullisError, PolicyError, type PolicyIssue } from '../errors.ts'
import { checkOptions, wholeNumber, type Expectation } from '../options.ts'
import { parseAppKeys, type AppKey } from '../signature/keys.ts'
import type { ChangeNote, ManagedPolicyStore } from './contract.ts'

/** When an existing key is accepted. A member that is left out stays unchanged; `null` removes the limit. */
export interface KeyLimits {
  readonly id: string
  /** ISO 8601. The key is not accepted before this time. */
  readonly notBefore?: string | null | undefined
  /** ISO 8601. The key is not accepted from this time on. */
  readonly notAfter?: string | null | undefined
}

export interface KeyChanges extends ChangeNote {
  /** Keys to add. */
  readonly add?: readonly AppKey[] | undefined
  /** Ids of keys to revoke. */
  readonly revoke?: readonly string[] | undefined
  /** New validity periods for existing keys. */
  readonly limit?: readonly KeyLimits[] | undefined
  /** The revision to replace. Left out: the current one, because the policy and the other keys do not change. */
  readonly replaces?: number | undefined
}

const anArray: Expectation = { expected: 'an array', accepts: Array.isArray }
const aString: Expectation = { expected: 'a string', accepts: (value) => typeof value === 'string' }
const EXPECTATIONS: Readonly<Record<keyof KeyChanges, Expectation>> = {
  add: { ...anArray, secret: true },
  revoke: anArray,
  limit: anArray,
  replaces: wholeNumber('revisions', 0),
  author: aString,
  note: aString,
}

/** How often a change is tried again after a conflict with another writer. */
const MAX_WRITES = 5

/**
 * Adds, revokes and limits single keys of an app in one new revision. The caller does not need the secrets of the other keys.
 * Returns the new revision. Rejects as `write` does, with a `ConfigError` for an unknown member, and with a `PolicyError` if
 * nothing would change, the app does not exist, a key to revoke or limit does not exist, or another app has a key to be added.
 */
export async function changeKeys(
  store: ManagedPolicyStore,
  appId: string,
  changes: KeyChanges,
): Promise<number> {
  const checked = checkOptions<KeyChanges>('changeKeys', changes, EXPECTATIONS)
  const { add = [], revoke = [], limit = [], replaces, author, note } = checked
  parseAppKeys(add, 'add')
  if (add.length + revoke.length + limit.length === 0)
    throw refused('', 'changes nothing: `add`, `revoke` or `limit` must name a key')

  for (let writes = 1; ; writes += 1) {
    const stored = await store.read(appId)
    if (stored === undefined) throw refused('appId', `there is no app \`${appId}\``)
    const keys = changedKeys(stored.keys, { add, revoke, limit })
    try {
      return await store.write({ policy: stored.policy, keys }, replaces ?? stored.revision, {
        author,
        note: note ?? describe({ add, revoke, limit }),
      })
    } catch (error) {
      const isConflict = isPortcullisError(error) && error.code === 'REVISION_CONFLICT'
      if (!isConflict || replaces !== undefined || writes === MAX_WRITES) throw error
    }
  }
}

type Changes = Required<{ [Name in 'add' | 'revoke' | 'limit']: NonNullable<KeyChanges[Name]> }>

function changedKeys(keys: readonly AppKey[], { add, revoke, limit }: Changes): readonly AppKey[] {
  const after = new Map(keys.map((key) => [key.id, key]))
  const issues: PolicyIssue[] = []
  for (const [index, id] of revoke.entries())
    if (!after.delete(id))
      issues.push({ path: `revoke[${index}]`, message: 'the app has no key with this id' })
  for (const [index, limits] of limit.entries()) {
    const key = after.get(limits?.id)
    if (key !== undefined) after.set(key.id, limited(key, limits))
    else issues.push({ path: `limit[${index}].id`, message: 'the app keeps no key with this id' })
  }
  for (const [index, key] of add.entries()) {
    if (after.has(key.id))
      issues.push({ path: `add[${index}].id`, message: 'the app already has a key with this id' })
    after.set(key.id, key)
  }
  if (issues.length > 0) throw new PolicyError(issues)
  return [...after.values()]
}

function limited(key: AppKey, { notBefore = key.notBefore, notAfter = key.notAfter }: KeyLimits): AppKey {
  const { id, algorithm, secret } = key
  return {
    id,
    algorithm,
    secret,
    ...(notBefore != null && { notBefore }),
    ...(notAfter != null && { notAfter }),
  }
}

/** The note for the history: only the ids of the keys. */
function describe({ add, revoke, limit }: Changes): string {
  const say = (what: string, ids: readonly string[]): string[] =>
    ids.length === 0 ? [] : [`${what} ${ids.join(', ')}`]
  const ids = (keys: readonly { readonly id: string }[]): string[] => keys.map(({ id }) => id)
  const parts = [...say('add', ids(add)), ...say('limit', ids(limit)), ...say('revoke', revoke)]
  return `keys: ${parts.join('; ')}`.slice(0, 1024)
}

function refused(path: string, message: string): PolicyError {
  return new PolicyError([{ path, message }])
}
