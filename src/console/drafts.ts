import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { UnavailableError } from '../errors.ts'
import type { Policy } from '../policy/policy.ts'
import type { ConsoleState } from './state.ts'
import { parseAssessed } from './steps.ts'

/** An unpublished edit of the policy of one app. */
export interface Draft {
  /** Changes with each edit. */
  readonly version: string
  /** The revision that it is based on. */
  readonly base: number
  readonly policy: Policy
  readonly author: string
  /** When it was last edited, ISO 8601. */
  readonly at: string
}

export interface Drafts {
  find(appId: string): Promise<Draft | undefined>
  /**
   * Writes the draft if the stored version is still `version` (`undefined`: there is no draft yet). Resolves with `undefined` if
   * someone else has edited it meanwhile.
   */
  put(
    appId: string,
    version: string | undefined,
    draft: Pick<Draft, 'base' | 'policy' | 'author'>,
  ): Promise<Draft | undefined>
  /** Resolves with whether the draft of this version existed. */
  discard(appId: string, version: string): Promise<boolean>
}

/** How long a draft that nobody edits is kept, in milliseconds. */
const KEPT = 30 * 86_400_000

export function createDrafts(state: ConsoleState, now: () => number): Drafts {
  /** Recently parsed policies, by version, because every edit needs the previous one. */
  const policies = new LRUCache<string, Policy>({ max: 50 })
  async function look(appId: string): Promise<{ text?: string; draft?: Draft }> {
    const text = await state.read(`draft:${appId}`)
    if (text === undefined) return {}
    try {
      const stored = JSON.parse(text) as Draft
      const policy = policies.get(stored.version) ?? parseAssessed(stored.policy)
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
