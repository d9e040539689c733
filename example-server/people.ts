import { createHmac, randomUUID } from 'node:crypto'
import type { Vault } from 'portcullis/vault'
import { hashPassword, nobodysHash, verifyPassword } from './passwords.ts'
import type { Storage } from './storage.ts'

/** What an app can ask for. */
export const FIELDS = ['firstname', 'surname', 'email', 'image', 'country', 'language'] as const
export type Field = (typeof FIELDS)[number]

/** A person, as stored: every field may be empty but email and country. */
export type Person = { readonly id: string } & { readonly [Name in Field]: string }

/** A person with what the sign-in needs to know. */
export interface Account {
  readonly person: Person
  /** Grows when password or second factor change. A session of another version is none. */
  readonly version: number
  readonly secondFactor: SecondFactor | undefined
}

export interface SecondFactor {
  /** In base32. */
  readonly secret: string
  /** The last time step of which a code was taken: a code passes once. */
  readonly lastStep: number
  /** Hashes of the codes that are left for whoever has lost the device. */
  readonly recovery: readonly string[]
}

export interface People {
  /** `undefined`: the email address is taken. The password comes hashed. */
  signUp(profile: Omit<Person, 'id'>, passwordHash: string): Promise<Account | undefined>
  /** `undefined`: no such person, or another password; both take the same time. */
  signIn(email: string, password: string): Promise<Account | undefined>
  find(id: string): Promise<Account | undefined>
  findByEmail(email: string): Promise<Account | undefined>
  isPassword(id: string, password: string): Promise<boolean>
  /** Ends every session of the person by the new version. */
  setPassword(id: string, password: string): Promise<Account>
  /** Ends every session of the person too, but for a mere change of what is left of it (`keepSessions`). */
  setSecondFactor(
    id: string,
    factor: SecondFactor | undefined,
    options?: { keepSessions?: boolean; instead?: SecondFactor },
  ): Promise<Account | undefined>
  /** Changes one field of a person. */
  change(id: string, field: Exclude<Field, 'email'>, value: string): Promise<Account>
  /** One name for all spellings of an email address, that says nothing to whoever lacks the key. */
  nameOf(email: string): string
}

interface StoredPerson {
  readonly id: string
  readonly password: string
  readonly version?: number
  readonly fields: Readonly<Record<Field, string>>
  /** Sealed. */
  readonly secondFactor?: string | undefined
}

/** How often a change is tried again because another came in between. */
const MOST_TRIES = 10

/** People in a storage: each field sealed by itself, the email address found by a keyed hash, the password hashed. */
export async function createPeople(storage: Storage, vault: Vault, indexKey: Uint8Array): Promise<People> {
  const nobody = await nobodysHash
  const nameOf = (email: string): string =>
    createHmac('sha256', indexKey).update(email.trim().normalize('NFKC').toLowerCase()).digest('base64url')
  const index = (email: string): string => `email:${nameOf(email)}`
  const sealField = (id: string, field: Field, value: string): string =>
    vault.seal(value, `person:${id}:${field}`)

  function open({ id, fields, version = 0, secondFactor }: StoredPerson): Account {
    const opened = FIELDS.map((field) => [field, vault.open(fields[field], `person:${id}:${field}`)])
    return {
      person: { id, ...(Object.fromEntries(opened) as Record<Field, string>) },
      version,
      secondFactor:
        secondFactor === undefined
          ? undefined
          : (JSON.parse(vault.open(secondFactor, `person:${id}:second factor`)) as SecondFactor),
    }
  }

  async function load(id: string | undefined): Promise<StoredPerson | undefined> {
    const text = id === undefined ? undefined : await storage.get(`person:${id}`)
    return text === undefined ? undefined : (JSON.parse(text) as StoredPerson)
  }

  /** Changes come one after the other: none takes back what another has done. `undefined` changes nothing. */
  async function update(
    id: string,
    change: (stored: StoredPerson) => StoredPerson | undefined,
  ): Promise<Account | undefined> {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const before = await storage.get(`person:${id}`)
      if (before === undefined) throw new Error('there is no such person')
      const changed = change(JSON.parse(before) as StoredPerson)
      if (changed === undefined) return undefined
      if (await storage.swap(`person:${id}`, before, JSON.stringify(changed))) return open(changed)
    }
    throw new Error('a person was changed by others again and again')
  }

  const changed = async (account: Promise<Account | undefined>): Promise<Account> => {
    const result = await account
    if (result === undefined) throw new Error('nothing was changed')
    return result
  }

  return {
    nameOf,
    change: (id, field, value) =>
      changed(
        update(id, (stored) => ({
          ...stored,
          fields: { ...stored.fields, [field]: sealField(id, field, value) },
        })),
      ),
    async signUp(profile, password) {
      const id = randomUUID()
      const sealed = FIELDS.map((field) => [field, sealField(id, field, profile[field])])
      const fields = Object.fromEntries(sealed) as Record<Field, string>
      const stored: StoredPerson = { id, password, version: 0, fields }
      await storage.put(`person:${id}`, JSON.stringify(stored))
      if (await storage.add(index(profile.email), id)) return open(stored)
      await storage.remove(`person:${id}`)
      return undefined
    },
    async signIn(email, password) {
      const stored = await load(await storage.get(index(email)))
      const right = await verifyPassword(stored?.password ?? nobody, password)
      return stored !== undefined && right ? open(stored) : undefined
    },
    async find(id) {
      const stored = await load(id)
      return stored && open(stored)
    },
    async findByEmail(email) {
      const stored = await load(await storage.get(index(email)))
      return stored && open(stored)
    },
    isPassword: async (id, password) => verifyPassword((await load(id))?.password ?? nobody, password),
    async setPassword(id, password) {
      const hashed = await hashPassword(password)
      return changed(
        update(id, (stored) => ({ ...stored, password: hashed, version: (stored.version ?? 0) + 1 })),
      )
    },
    setSecondFactor: (id, factor, { keepSessions = false, instead } = {}) =>
      update(id, (stored) => {
        // Of two that use the same code at once, one finds what it has seen.
        const seen = instead === undefined ? undefined : JSON.stringify(instead)
        if (seen !== undefined && JSON.stringify(open(stored).secondFactor) !== seen) return undefined
        return {
          ...stored,
          version: (stored.version ?? 0) + (keepSessions ? 0 : 1),
          secondFactor: factor && vault.seal(JSON.stringify(factor), `person:${id}:second factor`),
        }
      }),
  }
}
