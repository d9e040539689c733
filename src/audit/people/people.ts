import type { AuditEvent } from '../event.ts'

/** Gives each person in events a pseudonym that hangs on a secret of their own. */
export interface People {
  /** The same events, with the pseudonyms that are stored. Rejects when the secret of a person can be neither read nor made. */
  named(events: readonly AuditEvent[]): readonly AuditEvent[] | Promise<readonly AuditEvent[]>
  /** Hands secrets over that were made while their store was away. */
  deliver(): Promise<void>
  /** How many such secrets wait. */
  readonly pending: number
  /** Where such secrets are kept meanwhile. */
  useSpool(append: (content: Buffer) => Promise<void>): void
  /** Takes a secret from the spool of a process that has died. */
  takeOver(content: Buffer): Promise<void>
}
