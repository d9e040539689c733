import { createHash } from 'node:crypto'
import { withDeadline } from '../deadline.ts'
import { isUnreadable, UnavailableError, UnreadableError } from '../errors.ts'
import { compilePolicy, weighPolicy } from '../policy/compile.ts'
import { readPolicy } from '../policy/parse.ts'
import { parseAppKeys } from '../signature/keys.ts'
import type { StoredApp } from '../store/contract.ts'
import type { Breaker } from './breaker.ts'
import type { App } from './contract.ts'
import type { SharedList } from './held-list.ts'
import { keepLists } from './parsed-lists.ts'

/** An app as read from the store, and the compiled result. */
export interface Reading {
  readonly app: App
  /** About how many bytes it takes. */
  readonly weight: number
  /** Equal for two readings with the same content. */
  readonly digest: string
  /** The named lists that the policy refers to. */
  readonly lists: readonly SharedList[]
  readonly stored: StoredApp
}

/** The part of an earlier reading that is reused if the content has not changed. */
export type Known = Pick<Reading, 'app' | 'weight' | 'digest' | 'lists'>

/** Reads from the store with a deadline, and not at all while the breaker is open. */
export interface Reader {
  ask<T>(question: () => PromiseLike<T>): Promise<T>
  readonly reads: number
  readonly failures: number
}

/**
 * How many reads may be in progress; further ones wait for their turn. The deadline of a read starts after that wait, so a busy
 * process does not look like a failing store.
 */
const MAX_ASKED = 64

/** Roughly the size of a key object of `node:crypto`. */
const BYTES_OF_A_KEY = 512

/** The store was not read. These errors are not reported one by one. */
export class SparedError extends UnavailableError {}

export function createReader(breaker: Breaker, readTimeout: number): Reader {
  let reads = 0
  let failures = 0

  let asked = 0
  const waiting: (() => void)[] = []

  async function ask<T>(question: () => PromiseLike<T>): Promise<T> {
    if (asked >= MAX_ASKED) await new Promise<void>((resolve) => waiting.push(resolve))
    else asked += 1
    try {
      return await askNow(question)
    } finally {
      const next = waiting.shift()
      if (next === undefined) asked -= 1
      else next()
    }
  }

  async function askNow<T>(question: () => PromiseLike<T>): Promise<T> {
    if (!breaker.admits()) throw new SparedError('the store failed repeatedly, and is not asked for a moment')
    reads += 1
    try {
      const answer = await withDeadline(question(), readTimeout, 'the store')
      breaker.succeeded()
      return answer
    } catch (error) {
      failures += 1
      // The read itself worked if it found a damaged app.
      if (isUnreadable(error)) breaker.succeeded()
      else breaker.failed()
      throw error
    }
  }

  return {
    ask,
    get reads() {
      return reads
    },
    get failures() {
      return failures
    },
  }
}

/**
 * Compiles a stored app for the guards. Parts that have not changed since `known` are reused. Rejects with `PolicyError`, with
 * `UnreadableError` if the policy belongs to another app, and as `need` does, which returns the lists with these names.
 */
export async function understand(
  appId: string,
  stored: StoredApp,
  need: (names: readonly string[]) => Promise<readonly SharedList[]>,
  known?: Known,
): Promise<Reading> {
  const digest = versionOf(stored)
  if (known?.digest === digest && known.app.revision === stored.revision) {
    await need(known.lists.map(({ name }) => name))
    return { ...known, stored }
  }
  const read = readPolicy(stored.policy)
  const { policy } = read
  if (policy.appId !== appId)
    throw new UnreadableError('the store answered with another app than was asked for')
  const { lists: admitting = [], denyLists: refusing = [] } = policy.ipWhitelist ?? {}
  const lists = await need([...new Set([...admitting, ...refusing])])
  const byName = new Map(lists.map((list) => [list.name, list]))
  const app = {
    appId,
    revision: stored.revision,
    policy: compilePolicy(read, byName, known?.app.policy),
    keys: parseAppKeys(stored.keys ?? []),
  }
  keepLists(app.policy, read)
  return {
    app,
    weight: weighPolicy(policy, app.policy) + app.keys.length * BYTES_OF_A_KEY,
    digest,
    lists,
    stored,
  }
}

/** The version of the store if it has one, because serialising a document of a megabyte takes time. */
function versionOf({ version, policy, keys }: StoredApp): string {
  if (typeof version === 'string') return `version ${version}`
  return createHash('sha256')
    .update(JSON.stringify([policy, keys]))
    .digest('base64')
}
