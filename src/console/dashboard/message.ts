import { signal } from '@preact/signals'
import { Refused } from './api.ts'
import { RIGHTS } from './words.ts'

export interface Message {
  readonly kind: 'done' | 'refused'
  readonly text: string
  /** When it was shown, in milliseconds since the epoch. */
  readonly at: number
  readonly action?:
    | {
        readonly label: string
        /** The message stays on the pages of this app. */
        readonly appId: string
        run(): void
      }
    | undefined
}

/** What was done last, or why it was refused. Shown until the next message, or until it is closed. */
export const message = signal<Message | undefined>(undefined)

export function tell(text: string, action?: Message['action']): void {
  message.value = { kind: 'done', text, at: Date.now(), action }
}

export function tellRefusal(error: unknown): void {
  message.value = { kind: 'refused', text: wordsOf(error), at: Date.now() }
}

export function wordsOf(error: unknown): string {
  if (!(error instanceof Refused)) return error instanceof Error ? error.message : 'Something went wrong'
  const { code, title, detail, issues = [], missing = [], failures = [] } = error.problem
  if (code === 'SIGNED_OUT') return 'Your session had ended. Try again.'
  const [failure] = failures
  if (failure !== undefined)
    return `${title}: “${failure.name}” expects ${failure.expected}, and gets ${failure.got}. ${failure.reason}`
  const [first] = issues
  const issue = first === undefined ? '' : `: ${first.path === '' ? '' : `${first.path}: `}${first.message}`
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  const rights = missing.length === 0 ? '' : `: ${missing.map((right) => RIGHTS[right]).join(', ')}`
  return `${detail === undefined ? title : `${title}: ${detail}`}${issue}${more}${rights}`
}
