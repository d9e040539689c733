import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { UnavailableError } from '../errors.ts'
import { parsePolicy } from '../policy/parse.ts'
import type { Policy } from '../policy/policy.ts'
import type { ConsoleState } from './state.ts'

/** What somebody wants to publish of one app. */
export interface Draft {
  /** Another one after each edit. */
  readonly version: string
  /** The revision that it began from. */
  readonly base: number
  readonly policy: Policy
  readonly author: string
  /** When it was last edited, ISO 8601. */
  readonly at: string
}

export interface Drafts {
  find(appId: string): Promise<Draft | undefined>
  /**
   * Writes the draft where the version is still `version` (`undefined`: there is no draft yet). `undefined` as an answer: somebody else
   * has edited it meanwhile.
   */
  put(
    appId: string,
    version: string | undefined,
    draft: Pick<Draft, 'base' | 'policy' | 'author'>,
  ): Promise<Draft | undefined>
  /** Says whether the draft of this version was there. */
  discard(appId: string, version: string): Promise<boolean>
}

/** A draft that nobody touches for this long is gone. */
const KEPT = 30 * 86_400_000

export function createDrafts(state: ConsoleState, now: () => number): Drafts {
  /** Those that were parsed lately, by their versions: every edit needs the one before. */
  const policies = new LRUCache<string, Policy>({ max: 50 })
  async function look(appId: string): Promise<{ text?: string; draft?: Draft }> {
    const text = await state.read(`draft:${appId}`)
    if (text === undefined) return {}
    try {
      const stored = JSON.parse(text) as Draft
      const policy = policies.get(stored.version) ?? parsePolicy(stored.policy)
      policies.set(stored.version, policy)
      return { text, draft: { ...stored, policy } }
    } catch (error) {
      throw new UnavailableError(`the draft of \`${appId}\` cannot be read`, { cause: error })
    }
  }
  return {
    find: async (appId) => (await look(appId)).draft,
    async put(appId, version, { base, policy, author }) {
      const { text, draft: before } = await look(appId)
      if (before?.version !== version) return undefined
      const draft: Draft = {
        version: randomBytes(9).toString('base64url'),
        base,
        policy,
        author,
        at: new Date(now()).toISOString(),
      }
      policies.set(draft.version, policy)
      const put = await state.replace(`draft:${appId}`, text, JSON.stringify(draft), KEPT)
      return put ? draft : undefined
    },
    async discard(appId, version) {
      const { text, draft } = await look(appId)
      return draft?.version === version && (await state.replace(`draft:${appId}`, text, undefined, 0))
    },
  }
}
