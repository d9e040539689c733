import { randomInt, timingSafeEqual } from 'node:crypto'
import type { Vault } from 'portcullis/vault'
import type { Person } from './people.ts'
import type { Session } from './sessions.ts'
import type { Storage } from './storage.ts'

/** What waits for its code. */
export interface Pending {
  readonly email: string
  /** Empty where no code was sent, because there is, or is not, an account: no code is right then. */
  readonly code: string
  /** Of a sign-up. */
  readonly profile?: Omit<Person, 'id'>
  readonly passwordHash?: string
}

export type Purpose = 'sign-up' | 'reset'

export const CODE_MINUTES = 15
const LIFETIME = CODE_MINUTES * 60_000
/** A form that was sent twice by a double click is one. */
const DOUBLE_CLICK = 3_000

interface Done {
  readonly code: string
  readonly personId?: string
}

/**
 * Codes by mail. A code works in the browser that has asked for it, once; what waits for it is sealed. So whoever asks in the
 * name of another gets nothing, and whoever clicks a link in a mail by mistake makes no account.
 */
export function createMailCodes(storage: Storage, vault: Vault) {
  const keyOf = (purpose: Purpose, { name }: Session): string => `mailed-${purpose}:${name}`

  async function find(purpose: Purpose, session: Session): Promise<Pending | undefined> {
    const key = keyOf(purpose, session)
    const sealed = await storage.get(key)
    return sealed === undefined ? undefined : (JSON.parse(vault.open(sealed, key)) as Pending)
  }

  /** What became of a code just now, for the second of two clicks. */
  const doneKeyOf = (purpose: Purpose, { name }: Session): string => `redeemed-${purpose}:${name}`
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
    /** Whether this is the first of two clicks. The second waits until the first has begun what waits for its code. */
    async isFirst(purpose: Purpose, session: Session, account: string): Promise<boolean> {
      if (await storage.add(`click:${purpose}:${session.name}:${account}`, '', DOUBLE_CLICK)) return true
      for (let tries = 0; tries < 60 && (await find(purpose, session)) === undefined; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 50))
      return false
    },
    /** What has waited, if the code is right; it waits no more. */
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
    /** Says whom the code that was just redeemed has led to. */
    lead: (purpose: Purpose, session: Session, code: string, personId: string): Promise<void> =>
      note(purpose, session, { code: code.replaceAll(/\s/g, ''), personId }),
    /**
     * Whom the same browser was led to by the same code a moment ago: a browser takes the answer to the second of two clicks, and
     * drops that to the first with its session. Waits until it is known.
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
