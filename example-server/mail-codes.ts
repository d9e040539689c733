import { randomInt, timingSafeEqual } from 'node:crypto'
import type { Vault } from 'portcullis/vault'
import type { Person } from './people.ts'
import type { Session } from './sessions.ts'
import type { Storage } from './storage.ts'

/** A sign-up or reset that waits for the code from the email. */
export interface Pending {
  readonly email: string
  /**
   * Empty if no code was sent: for a sign-up if the account exists, for a reset if it does not. Then no code is right.
   */
  readonly code: string
  /** Only of a reset: the account. The code does not work for a later account with the same address. */
  readonly personId?: string | undefined
  /** Only of a sign-up. */
  readonly profile?: Omit<Person, 'id'>
  readonly passwordHash?: string
}

export type Purpose = 'sign-up' | 'reset'

export const CODE_MINUTES = 15
const LIFETIME = CODE_MINUTES * 60_000
/** Two submissions of a form within this time, in milliseconds, are a double click and count once. */
const DOUBLE_CLICK = 3_000

interface Done {
  readonly code: string
  readonly personId?: string
}

/**
 * Codes sent by email. A code works once, and only in the browser that requested it, so nobody can use a code that they
 * requested for somebody else's address. The pending sign-up or reset is stored encrypted.
 */
export function createMailCodes(storage: Storage, vault: Vault) {
  const keyOf = (purpose: Purpose, { name }: Pick<Session, 'name'>): string => `mailed-${purpose}:${name}`

  async function find(purpose: Purpose, session: Session): Promise<Pending | undefined> {
    const key = keyOf(purpose, session)
    const sealed = await storage.get(key)
    return sealed === undefined ? undefined : (JSON.parse(vault.open(sealed, key)) as Pending)
  }

  /** Where the result of a redeemed code is stored for a few seconds, for the second click of a double click. */
  const doneKeyOf = (purpose: Purpose, { name }: Pick<Session, 'name'>): string =>
    `redeemed-${purpose}:${name}`
  async function note(purpose: Purpose, session: Session, done: Done): Promise<void> {
    const key = doneKeyOf(purpose, session)
    await storage.put(key, vault.seal(JSON.stringify(done), key), DOUBLE_CLICK)
  }
  async function done(purpose: Purpose, session: Session): Promise<Done | undefined> {
    const key = doneKeyOf(purpose, session)
    const sealed = await storage.get(key)
    return sealed === undefined ? undefined : (JSON.parse(vault.open(sealed, key)) as Done)
  }

  return {
    find,
    newCode: (): string => String(randomInt(100_000_000)).padStart(8, '0'),
    async begin(purpose: Purpose, session: Session, pending: Pending): Promise<void> {
      const key = keyOf(purpose, session)
      await storage.put(key, vault.seal(JSON.stringify(pending), key), LIFETIME)
    },
    /**
     * Whether this is not the second click of a double click. The second click waits until the first has stored its
     * request.
     */
    async isFirst(purpose: Purpose, session: Session, account: string): Promise<boolean> {
      if (await storage.add(`click:${purpose}:${session.name}:${account}`, '', DOUBLE_CLICK)) return true
      for (let tries = 0; tries < 60 && (await find(purpose, session)) === undefined; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 50))
      return false
    },
    /** Removes the codes of a session. */
    async forget(session: Pick<Session, 'name'>): Promise<void> {
      for (const purpose of ['sign-up', 'reset'] as const) {
        await storage.remove(keyOf(purpose, session))
        await storage.remove(doneKeyOf(purpose, session))
      }
    },
    /** Removes and returns the pending sign-up or reset if the code is right. */
    async redeem(purpose: Purpose, session: Session, code: string): Promise<Pending | undefined> {
      const pending = await find(purpose, session)
      const given = Buffer.from(code.replaceAll(/\s/g, ''))
      const expected = Buffer.from(pending?.code ?? '')
      const right =
        expected.length > 0 && given.length === expected.length && timingSafeEqual(given, expected)
      if (!right || (await storage.take(keyOf(purpose, session))) === undefined) return undefined
      await note(purpose, session, { code: expected.toString() })
      return pending
    },
    /** Stores the person that the code just redeemed belongs to, for `ledTo`. */
    lead: (purpose: Purpose, session: Session, code: string, personId: string): Promise<void> =>
      note(purpose, session, { code: code.replaceAll(/\s/g, ''), personId }),
    /**
     * The person that the same code led to in the same browser a moment ago. After a double click, a browser uses the
     * answer to the second click and discards the first one with its session. Waits up to three seconds for the first
     * click.
     */
    async ledTo(purpose: Purpose, session: Session, code: string): Promise<string | undefined> {
      for (let tries = 0; tries < 60; tries += 1) {
        const known = await done(purpose, session)
        if (known === undefined || known.code !== code.replaceAll(/\s/g, '')) return undefined
        if (known.personId !== undefined) return known.personId
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      return undefined
    },
  }
}

export type MailCodes = ReturnType<typeof createMailCodes>
