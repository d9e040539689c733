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

/** What was read of an app, and what came of it. */
export interface Reading {
  readonly app: App
  /** About how many bytes it takes. */
  readonly weight: number
  /** Tells whether two readings are of the same content. */
  readonly digest: string
  /** The named lists that the policy refers to. */
  readonly lists: readonly SharedList[]
  readonly stored: StoredApp
}

/** What is kept of an earlier reading, so that what has not changed is not made again. */
export type Known = Pick<Reading, 'app' | 'weight' | 'digest' | 'lists'>

/** Asks the store: no longer than the deadline, and not at all while the breaker is open. */
export interface Reader {
  ask<T>(question: () => PromiseLike<T>): Promise<T>
  readonly reads: number
  readonly failures: number
}

/**
 * How many questions are with the store at once; more wait for their turn. A question that waits in this process must not
 * pass for one that the store leaves unanswered.
 */
const MAX_ASKED = 64

/** A key is held by the cryptography of Node. */
const BYTES_OF_A_KEY = 512

/** The store was not asked. Not worth a report for each that comes in vain. */
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
      // A store that finds a damaged app has looked.
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
 * Makes of a stored app what guards need; what has not changed since `known` is not made again. Rejects with `PolicyError`,
 * with `UnreadableError` when it is of another app, and as `need` does, which gives the lists of these names.
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

/** The store's own, where it has one: a document of a megabyte is not worth to be serialised for it. */
function versionOf({ version, policy, keys }: StoredApp): string {
  if (typeof version === 'string') return `version ${version}`
  return createHash('sha256')
    .update(JSON.stringify([policy, keys]))
    .digest('base64')
}
