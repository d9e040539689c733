import { originIndexKeys } from '../match/origin.ts'
import type { Policy } from '../policy/policy.ts'

/** How many apps one entry leads to, at most, so that one preflight cannot make a store read thousands. */
export const MAX_APPS_PER_ENTRY = 64

/** Which apps name an origin in `domainProtect`, for stores that hold all documents in memory. */
export interface DomainIndex {
  /** Updates the index from one policy of an app to the next. */
  follow(before: Policy | undefined, after: Policy | undefined): void
  find(origin: string): string[]
}

export function createDomainIndex(): DomainIndex {
  const appsByDomain = new Map<string, Set<string>>()
  return {
    follow(before, after) {
      for (const domain of before?.domainProtect?.domains ?? []) {
        const apps = appsByDomain.get(domain)
        if (before !== undefined) apps?.delete(before.appId)
        if (apps?.size === 0) appsByDomain.delete(domain)
      }
      if (after === undefined) return
      for (const domain of after.domainProtect?.domains ?? []) {
        const apps = appsByDomain.get(domain) ?? new Set()
        appsByDomain.set(domain, apps.add(after.appId))
      }
    },
    find: (origin) => [
      ...new Set(originIndexKeys(origin).flatMap((domain) => newest(appsByDomain.get(domain)))),
    ],
  }
}

/** The apps that named the entry last, as in Redis. */
function newest(apps: ReadonlySet<string> | undefined): string[] {
  return apps === undefined ? [] : [...apps].slice(-MAX_APPS_PER_ENTRY)
}
