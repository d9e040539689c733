import { LRUCache } from 'lru-cache'
import type { Decision, RefusalLine } from 'portcullis'
import type { Log } from './log.ts'

/** A refusal of a guard, with what a developer needs to know. */
export interface Refusal {
  readonly at: string
  readonly app: string | undefined
  readonly guard: string
  readonly code: string
  readonly detail: string
  readonly evidence: unknown
  /** The line that the guard printed for the first refusal of this kind, with the nearest entry and how to fix it. */
  readonly line: string | undefined
}

/** Options for the guards, and the last refusal that these options received. */
export interface Refusals {
  readonly told: {
    onDecision(decision: Decision, context: { readonly app: { readonly appId: string } | undefined }): void
    logger(line: RefusalLine): void
  }
  last(): Refusal | undefined
}

/**
 * Logs what the guards refuse, at most one line a minute for each kind. In production a line contains only the guard,
 * the code, the app and the request id, because details of a policy belong in the audit.
 */
export function createRefusals({
  production,
  log,
  onDecision,
}: {
  production: boolean
  log: Log
  /** Called with every decision, such as the counter of the metrics. */
  onDecision?: (decision: Decision) => void
}): Refusals {
  const lines = new LRUCache<string, string>({ max: 200 })
  let last: Refusal | undefined
  const kindOf = (app: string | undefined, guard: string, code: string): string =>
    [app, guard, code].join(' ')
  return {
    told: {
      onDecision(decision, { app }) {
        onDecision?.(decision)
        const { effect, mode, guard, code, detail, evidence } = decision
        if (production || effect !== 'deny' || mode === 'report') return
        const at = new Date().toISOString()
        last = { at, app: app?.appId, guard, code, detail, evidence, line: undefined }
      },
      logger({ message, guard, code, appId, requestId }) {
        if (production) log('refused', { guard, code, app: appId, request: requestId })
        else {
          lines.set(kindOf(appId, guard, code), message)
          log.text(message)
        }
      },
    },
    last: () => last && { ...last, line: lines.get(kindOf(last.app, last.guard, last.code)) },
  }
}
