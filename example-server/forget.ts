import { enrolmentKeyOf } from './account/factor.ts'
import type { Connections } from './connections.ts'
import type { MailCodes } from './mail-codes.ts'
import type { Sessions } from './sessions.ts'
import type { Storage } from './storage.ts'

export interface ForgetParts {
  readonly storage: Storage
  readonly connections: Connections
  readonly sessions: Sessions
  readonly mailCodes: MailCodes
}

/**
 * Erases what is stored about a person outside the record: grants, codes, tokens, sessions, and secrets and codes of these
 * sessions. Sessions are removed last, because their names are needed if this is interrupted and repeated.
 */
export function createForget({ storage, connections, sessions, mailCodes }: ForgetParts) {
  return async (personId: string): Promise<void> => {
    await connections.revoke(personId)
    for (const name of await sessions.namesOf(personId)) {
      await storage.remove(enrolmentKeyOf(name))
      await mailCodes.forget({ name })
    }
    await sessions.endAllOf(personId)
  }
}
