import { randomUUID } from 'node:crypto'
import {
  createFieldVault,
  hashPassword,
  needsRehash,
  verifyPassword,
  type FieldVault,
  type PeopleStore,
  type Vault,
} from 'portcullis/vault'
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
  /** Each sealed by the key of the person. */
  readonly fields: Readonly<Record<Field, string>>
  /** Sealed too. */
  readonly secondFactor?: string | undefined
}

/** How often a change is tried again because another came in between. */
const MOST_TRIES = 10

/** What seals the fields of people: a key for each person, and an index that finds a person by the email address. */
export function createPersonalFields(vault: Vault, personKeys: PeopleStore, indexVault: Vault): FieldVault {
  return createFieldVault({
    vault,
    people: personKeys,
    region: 'gateway',
    indexVault,
    indexes: { email: { match: 'email', unique: true } },
  })
}

/** People in a storage: each field sealed by itself, the email address found by a blind index, the password hashed. */
export function createPeople(storage: Storage, fields: FieldVault): People {
  const namesOf = (email: string): readonly string[] => fields.index('email', email)
  const nameOf = (email: string): string => namesOf(email)[0] ?? ''

  async function open(stored: StoredPerson): Promise<Account> {
    const { id, version = 0, secondFactor } = stored
    const [person, factor] = await Promise.all([
      fields.openRecord(id, stored.fields),
      secondFactor === undefined ? undefined : fields.open(id, 'second factor', secondFactor),
    ])
    return {
      person: { id, ...person },
      version,
      secondFactor: factor === undefined ? undefined : (JSON.parse(factor) as SecondFactor),
    }
  }

  async function load(id: string | undefined): Promise<StoredPerson | undefined> {
    const text = id === undefined ? undefined : await storage.get(`person:${id}`)
    return text === undefined ? undefined : (JSON.parse(text) as StoredPerson)
  }

  /** By the index of now, or by an older one, which is replaced then. */
  async function loadByEmail(email: string): Promise<StoredPerson | undefined> {
    const [current = '', ...older] = namesOf(email)
    const id = await storage.get(`email:${current}`)
    if (id !== undefined) return load(id)
    for (const name of older) {
      const found = await storage.get(`email:${name}`)
      if (found === undefined) continue
      if (await storage.add(`email:${current}`, found)) await storage.remove(`email:${name}`)
      return load(found)
    }
    return undefined
  }

  /** Changes come one after the other: none takes back what another has done. `undefined` changes nothing. */
  async function update(
    id: string,
    change: (stored: StoredPerson) => Promise<StoredPerson | undefined>,
  ): Promise<Account | undefined> {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const before = await storage.get(`person:${id}`)
      if (before === undefined) throw new Error('there is no such person')
      const changed = await change(JSON.parse(before) as StoredPerson)
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

  /** A hash of today's costs in place of an older one: only now is the password at hand. It ends no session. */
  async function rehash({ id, password: before }: StoredPerson, password: string): Promise<void> {
    const hashed = await hashPassword(password)
    await update(id, async (stored) =>
      stored.password === before ? { ...stored, password: hashed } : undefined,
    )
  }

  return {
    nameOf,
    change: (id, field, value) =>
      changed(
        update(id, async (stored) => ({
          ...stored,
          fields: { ...stored.fields, [field]: await fields.seal(id, field, value) },
        })),
      ),
    async signUp(profile, password) {
      const id = randomUUID()
      const own = Object.fromEntries(FIELDS.map((field) => [field, profile[field]])) as Record<Field, string>
      const stored: StoredPerson = { id, password, version: 0, fields: await fields.sealRecord(id, own) }
      await storage.put(`person:${id}`, JSON.stringify(stored))
      if (await storage.add(`email:${nameOf(profile.email)}`, id)) return open(stored)
      await storage.remove(`person:${id}`)
      await fields.erase(id)
      return undefined
    },
    async signIn(email, password) {
      const stored = await loadByEmail(email)
      const right = await verifyPassword(stored?.password, password)
      if (stored === undefined || !right) return undefined
      if (needsRehash(stored.password)) await rehash(stored, password)
      return open(stored)
    },
    async find(id) {
      const stored = await load(id)
      return stored && open(stored)
    },
    async findByEmail(email) {
      const stored = await loadByEmail(email)
      return stored && open(stored)
    },
    isPassword: async (id, password) => verifyPassword((await load(id))?.password, password),
    async setPassword(id, password) {
      const hashed = await hashPassword(password)
      return changed(
        update(id, async (stored) => ({ ...stored, password: hashed, version: (stored.version ?? 0) + 1 })),
      )
    },
    setSecondFactor: (id, factor, { keepSessions = false, instead } = {}) =>
      update(id, async (stored) => {
        // Of two that use the same code at once, one finds what it has seen.
        const seen = instead === undefined ? undefined : JSON.stringify(instead)
        if (seen !== undefined && JSON.stringify((await open(stored)).secondFactor) !== seen) return undefined
        return {
          ...stored,
          version: (stored.version ?? 0) + (keepSessions ? 0 : 1),
          secondFactor: factor && (await fields.seal(id, 'second factor', JSON.stringify(factor))),
        }
      }),
  }
}
