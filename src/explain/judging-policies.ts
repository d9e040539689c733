import { LRUCache } from 'lru-cache'
import { parseListEntry, type ListEntry } from '../list/entry.ts'
import { ListDigest } from '../list/list-digest.ts'
import { createExpiringIpSetBuilder } from '../match/expiring-ip-set.ts'
import { compilePolicy, type CompiledPolicy } from '../policy/compile.ts'
import { missingList, type NamedSet } from '../policy/named-lists.ts'
import { readPolicy } from '../policy/parse.ts'

/** Returns the document of an app at a revision. `undefined` if it is no longer known. */
export type PolicyOf = (appId: string, revision: number) => unknown

/**
 * Returns the entries of a named list. `undefined` if they are no longer known. `digest` identifies the contents: SHA-256 in
 * base64url over one line per entry, with its range and, if it expires, a space and `expires`. `undefined` if the digest was
 * not recorded. Entries with another digest are ignored, as if they were unknown.
 */
export type ListOf = (
  name: string,
  digest: string | undefined,
) => Iterable<ListEntry> | undefined | PromiseLike<Iterable<ListEntry> | undefined>

/** The digests of the lists that guards used. `null`: the list did not exist. `undefined`: its contents are unknown. */
export type AskedLists = Readonly<Record<string, string | null | undefined>>

/** A policy with its named lists, as they were when the request was judged. */
export interface JudgedPolicy {
  readonly policy: CompiledPolicy
  /** Whether the contents of a list are no longer known. */
  readonly missing: boolean
}

const REMEMBERED = 1_000

/** The policies by which recorded requests were judged. Each is compiled once. */
export class JudgingPolicies {
  readonly #policyOf: PolicyOf
  readonly #listOf: ListOf | undefined
  readonly #known = new LRUCache<string, Promise<JudgedPolicy | undefined>>({ max: REMEMBERED })

  constructor(policyOf: PolicyOf, listOf: ListOf | undefined) {
    this.#policyOf = policyOf
    this.#listOf = listOf
  }

  /** `undefined` if the policy is no longer known. */
  find(appId: string, revision: number, lists: AskedLists): Promise<JudgedPolicy | undefined> {
    const name = JSON.stringify([appId, revision, lists])
    const known = this.#known.get(name) ?? this.#read(appId, revision, lists)
    this.#known.set(name, known)
    return known
  }

  async #read(appId: string, revision: number, lists: AskedLists): Promise<JudgedPolicy | undefined> {
    const document: unknown = await this.#policyOf(appId, revision)
    if (document === undefined) return undefined
    const read = readPolicy(document)
    const { lists: admitting = [], denyLists = [] } = read.policy.ipWhitelist ?? {}
    const named = new Map<string, NamedSet>()
    let missing = false
    for (const list of new Set([...admitting, ...denyLists])) {
      const set = await this.#list(list, lists[list])
      missing ||= set === undefined
      named.set(list, set ?? missingList(list))
    }
    return { policy: compilePolicy(read, named), missing }
  }

  async #list(name: string, digest: string | null | undefined): Promise<NamedSet | undefined> {
    if (digest === null) return missingList(name)
    const entries = await this.#listOf?.(name, digest)
    if (entries === undefined) return undefined
    const all = Array.from(entries, parseListEntry)
    const isAnother = digest !== undefined && new ListDigest().add(all).end() !== digest
    return isAnother ? undefined : setOf(name, all)
  }
}

function setOf(name: string, entries: Iterable<ListEntry>): NamedSet {
  const builder = createExpiringIpSetBuilder()
  for (const { range, expires } of entries) {
    builder.add(range, expires === undefined ? undefined : Date.parse(expires))
  }
  const steps = builder.finish()
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  const set = step.value
  return { name, exists: true, find: (address, now) => set.find(address, now) }
}
