import { LRUCache } from 'lru-cache'
import { parseListEntry, type ListEntry } from '../list/entry.ts'
import { ListDigest } from '../list/list-digest.ts'
import { createExpiringIpSetBuilder } from '../match/expiring-ip-set.ts'
import { compilePolicy, type CompiledPolicy } from '../policy/compile.ts'
import { missingList, type NamedSet } from '../policy/named-lists.ts'
import { readPolicy } from '../policy/parse.ts'

/** The document of an app at a revision; `undefined` where it is not known any more. */
export type PolicyOf = (appId: string, revision: number) => unknown

/**
 * The entries of a named list; `undefined` where they are not known any more. `digest` says which: SHA-256 in base64url over a line for
 * each entry, which is its range and, where it ends, a space and `expires`. Missing where it was not recorded. Entries of another
 * digest count as not known.
 */
export type ListOf = (
  name: string,
  digest: string | undefined,
) => Iterable<ListEntry> | undefined | PromiseLike<Iterable<ListEntry> | undefined>

/** The digests of lists that were asked: `null` for one that did not exist, nothing for one whose content is not known. */
export type AskedLists = Readonly<Record<string, string | null | undefined>>

/** A policy with the lists that it names, as they were. */
export interface JudgedPolicy {
  readonly policy: CompiledPolicy
  /** Whether a list is not known any more. */
  readonly missing: boolean
}

const REMEMBERED = 1_000

/** The policies that recorded requests were judged by, each compiled once. */
export class JudgingPolicies {
  readonly #policyOf: PolicyOf
  readonly #listOf: ListOf | undefined
  readonly #known = new LRUCache<string, Promise<JudgedPolicy | undefined>>({ max: REMEMBERED })

  constructor(policyOf: PolicyOf, listOf: ListOf | undefined) {
    this.#policyOf = policyOf
    this.#listOf = listOf
  }

  /** `undefined` where there is no such policy any more. */
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
