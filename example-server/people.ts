import { RevisionConflict, type PersonId } from 'portcullis/region'
import {
  createFieldVault,
  hashPassword,
  needsRehash,
  SealedError,
  verifyPassword,
  type FieldVault,
  type Vault,
} from 'portcullis/vault'
import { dropEmails, isErased, markEmails, type ErasedPerson, type StoredEmail } from './erasure.ts'
import { hashOf, type Home, type Homes } from './homes.ts'

/** The fields that an app can request. */
export const FIELDS = ['firstname', 'surname', 'email', 'image', 'country', 'language'] as const
export type Field = (typeof FIELDS)[number]

/** A person. Every field except `email` and `country` may be empty. */
export type Person = { readonly id: string } & { readonly [Name in Field]: string }

/** A person with the data that a sign-in needs. */
export interface Account {
  readonly person: Person
  /** Increases when the password or the second factor changes. Sessions of other versions are not valid. */
  readonly version: number
  readonly secondFactor: SecondFactor | undefined
}

export interface SecondFactor {
  /** In base32. */
  readonly secret: string
  /** The time step of the last accepted code. Only codes of later steps are accepted, so each code works once. */
  readonly lastStep: number
  /** Hashes of the unused recovery codes. */
  readonly recovery: readonly string[]
}

/** The person was deleted while the request was handled. */
export class PersonGone extends Error {}

export interface People {
  /** Creates an account; `undefined` if the email address is taken. */
  signUp(profile: Omit<Person, 'id'>, passwordHash: string): Promise<Account | undefined>
  /** `undefined` if there is no such person or the password is wrong. Both take the same time. */
  signIn(email: string, password: string): Promise<Account | undefined>
  find(id: string): Promise<Account | undefined>
  findByEmail(email: string): Promise<Account | undefined>
  isPassword(id: string, password: string): Promise<boolean>
  /** Sets the password and increases the version, which ends every session of the person. */
  setPassword(id: string, password: string): Promise<Account>
  /**
   * Sets, changes or removes the second factor. Ends every session of the person unless `keepSessions` is set. With
   * `instead`, resolves with `undefined` if the stored factor is no longer this one.
   */
  setSecondFactor(
    id: string,
    factor: SecondFactor | undefined,
    options?: { keepSessions?: boolean; instead?: SecondFactor },
  ): Promise<Account | undefined>
  /** Changes one field of a person. */
  change(id: string, field: Exclude<Field, 'email'>, value: string): Promise<Account>
  /**
   * Begins to delete a person with one write. From then on nobody can find or read the person. `changed` if the account
   * differs from `seen`: then nothing was deleted. `gone` if it was deleted before.
   */
  close(seen: Account): Promise<'closed' | 'gone' | 'changed'>
  /** Erases what remains of a person after `close`. It can be repeated, also concurrently. */
  finish(id: string): Promise<void>
  /** The identifier of the person with this email address. */
  idOf(email: string): Promise<string | undefined>
  /** A keyed hash that is the same for all spellings of an email address. */
  nameOf(email: string): string
}

interface StoredPerson {
  readonly id: string
  readonly password: string
  readonly version?: number
  /** Each encrypted with the key of the person. */
  readonly fields: Readonly<Record<Field, string>>
  /** JSON, encrypted with the key of the person. */
  readonly secondFactor?: string | undefined
}

/** How often a change is tried if other changes conflict with it. */
const MOST_TRIES = 10

/** A home with the vault that encrypts the fields of its people. */
interface FieldHome extends Home {
  readonly fields: FieldVault
}

interface Found<Stored = StoredPerson> {
  readonly home: FieldHome
  readonly stored: Stored
  readonly revision: number
}

/**
 * Encrypts the fields of people of a jurisdiction with a key per person. A blind index finds a person by email address.
 */
export function createPersonalFields(home: Home, vault: Vault, indexVault: Vault): FieldVault {
  return createFieldVault({
    vault,
    people: home.keys,
    region: home.jurisdiction,
    indexVault,
    indexes: { email: { match: 'email', unique: true } },
  })
}

/**
 * Stores people. Each person is stored, with their key and the index of their email address, in the home of one
 * jurisdiction, which depends on their citizenship. Fields are encrypted one by one, and passwords are hashed.
 * `forget` erases what is stored elsewhere about a person who is being deleted.
 */
export function createPeople(
  homes: Homes,
  vault: Vault,
  indexVault: Vault,
  forget: (id: string) => Promise<void> = async () => undefined,
): People {
  const all: readonly FieldHome[] = homes.all.map((home) => ({
    ...home,
    fields: createPersonalFields(home, vault, indexVault),
  }))
  const nameOf = (email: string): string => all[0]?.fields.index('email', email)[0] ?? ''
  const emailIdsOf = ({ jurisdiction, fields }: FieldHome, email: string): readonly PersonId[] =>
    fields.index('email', email).map((name): PersonId => `${jurisdiction}_email:${hashOf(name)}`)

  function homeOf(jurisdiction: string): FieldHome {
    const home = all.find((each) => each.jurisdiction === jurisdiction)
    if (home === undefined) throw new Error(`the people of ${jurisdiction} cannot be reached`)
    return home
  }

  async function open({ home: { fields }, stored }: Pick<Found, 'home' | 'stored'>): Promise<Account> {
    const { id, version = 0, secondFactor } = stored
    const [person, factor] = await Promise.all([
      fields.openRecord(id, stored.fields),
      secondFactor === undefined ? undefined : fields.open(id, 'second factor', secondFactor),
    ]).catch(async (error: unknown) => {
      const isGone = error instanceof SealedError && (await load(id)) === undefined
      throw isGone ? new PersonGone() : error
    })
    return {
      person: { id, ...person },
      version,
      secondFactor: factor === undefined ? undefined : (JSON.parse(factor) as SecondFactor),
    }
  }

  /** The record as it is, also of a person who is being deleted. */
  async function look(id: string): Promise<Found<StoredPerson | ErasedPerson> | undefined> {
    const home = all.find(({ records }) => records.owns(id))
    const found = await home?.records.get<StoredPerson | ErasedPerson>(id as PersonId)
    return home && found && { home, stored: found.value, revision: found.revision }
  }

  async function load(id: string): Promise<Found | undefined> {
    const found = await look(id)
    return found === undefined || isErased(found.stored) ? undefined : { ...found, stored: found.stored }
  }

  /** The index of the email address is erased last, so the next use of the address completes an interrupted deletion. */
  async function finish(id: string): Promise<void> {
    const found = await look(id)
    if (found === undefined || !isErased(found.stored)) return
    const { home, stored, revision } = found
    await forget(id)
    await home.fields.erase(id)
    await markEmails(home.records, stored)
    await home.records.delete(id as PersonId, revision).catch(onConflict(() => undefined))
    await dropEmails(home.records, stored)
  }

  /** Searches by the current index key, then by older ones. An entry of an older key is replaced. */
  async function idIn(home: FieldHome, email: string): Promise<string | undefined> {
    const [current, ...older] = emailIdsOf(home, email)
    for (const name of [current, ...older]) {
      const found = name && (await home.records.get<StoredEmail>(name))
      if (!found) continue
      if (found.value.erased === true) {
        await finish(found.value.id)
        await dropEmails(home.records, { id: found.value.id, erased: [name] })
        continue
      }
      if (current !== undefined && name !== current) {
        await home.records.put(current, found.value, 0).catch(onConflict(() => undefined))
        await home.records.delete(name, found.revision).catch(onConflict(() => undefined))
      }
      return found.value.id
    }
    return undefined
  }

  /**
   * Searches every home, because there is no directory of all people. Rejects if a home that may have the address is
   * unreachable.
   */
  async function loadByEmail(email: string): Promise<Found | undefined> {
    const asked = await Promise.allSettled(all.map((home) => idIn(home, email)))
    const id = asked.flatMap((each) => (each.status === 'fulfilled' ? (each.value ?? []) : []))[0]
    if (id !== undefined) {
      const found = await load(id)
      if (found === undefined) await finish(id)
      return found
    }
    for (const each of asked) if (each.status === 'rejected') throw each.reason
    return undefined
  }

  /**
   * Applies a change, and repeats it if somebody else changed the record meanwhile. `undefined` changes nothing. Rejects
   * with `PersonGone` if there is no such person.
   */
  async function replace<After extends StoredPerson | ErasedPerson>(
    id: string,
    change: (stored: StoredPerson, home: FieldHome) => Promise<After | undefined>,
  ): Promise<{ home: FieldHome; stored: After } | undefined> {
    let before: Found | undefined
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const found = await load(id)
      if (found === undefined) {
        // Encrypting a field for this change may have created a new key after the old one was erased.
        await before?.home.fields.erase(id)
        throw new PersonGone()
      }
      before = found
      const { home, revision } = found
      const stored = await change(found.stored, home)
      if (stored === undefined) return undefined
      const isWritten = await home.records
        .put(id as PersonId, stored, revision)
        .then(() => true)
        .catch(onConflict(() => false))
      if (isWritten) return { home, stored }
    }
    throw new Error('a person was changed by others too often')
  }

  async function update(
    id: string,
    change: (stored: StoredPerson, home: FieldHome) => Promise<StoredPerson | undefined>,
  ): Promise<Account | undefined> {
    const written = await replace(id, change)
    return written && open(written)
  }

  const changed = async (account: Promise<Account | undefined>): Promise<Account> => {
    const result = await account
    if (result === undefined) throw new Error('nothing was changed')
    return result
  }

  /**
   * Replaces a hash with outdated cost settings, at sign-in because only then is the password known. Sessions continue.
   */
  async function rehashed(found: Found, password: string): Promise<Account> {
    const { id, password: before } = found.stored
    if (needsRehash(before)) {
      const hashed = await hashPassword(password)
      await replace(id, async (stored) =>
        stored.password === before ? { ...stored, password: hashed } : undefined,
      )
    }
    return open(found)
  }

  /** The marker keeps where the email address is indexed, because the address itself can no longer be read. */
  async function close({ person: { id }, version, secondFactor }: Account): Promise<'closed' | 'changed'> {
    const closed = await replace(id, async (stored, home): Promise<ErasedPerson | undefined> => {
      const now = await open({ home, stored })
      const isSame =
        now.version === version && JSON.stringify(now.secondFactor) === JSON.stringify(secondFactor)
      return isSame ? { id, erased: emailIdsOf(home, now.person.email) } : undefined
    })
    return closed === undefined ? 'changed' : 'closed'
  }

  /**
   * Takes an address if it is free in all jurisdictions. If two people take it in two jurisdictions at the same time,
   * neither gets it.
   */
  async function takeEmail(home: FieldHome, email: string, id: string): Promise<boolean> {
    const [name] = emailIdsOf(home, email)
    if (name === undefined) return false
    const revision = await home.records.put(name, { id }, 0).catch(onConflict(() => 0))
    if (revision === 0) return false
    let isFree = false
    try {
      const others = all.filter((other) => other !== home)
      isFree = (await Promise.all(others.map((other) => idIn(other, email)))).every(
        (found) => found === undefined,
      )
      return isFree
    } finally {
      if (!isFree) await home.records.delete(name, revision)
    }
  }

  return {
    nameOf,
    change: (id, field, value) =>
      changed(
        update(id, async (stored, { fields }) => ({
          ...stored,
          fields: { ...stored.fields, [field]: await fields.seal(id, field, value) },
        })),
      ),
    async signUp(profile, password) {
      const home = homeOf(homes.belonging(profile.country))
      const { records, fields } = home
      const id = homes.newPersonId(home.jurisdiction)
      const own = Object.fromEntries(FIELDS.map((field) => [field, profile[field]])) as Record<Field, string>
      const stored: StoredPerson = { id, password, version: 0, fields: await fields.sealRecord(id, own) }
      const revision = await records.put(id, stored, 0)
      let isTaken = false
      try {
        isTaken = await takeEmail(home, profile.email, id)
        return isTaken ? await open({ home, stored }) : undefined
      } finally {
        if (!isTaken) {
          await records.delete(id, revision)
          await fields.erase(id)
        }
      }
    },
    async signIn(email, password) {
      const found = await loadByEmail(email)
      const right = await verifyPassword(found?.stored.password, password)
      if (found === undefined || !right) return undefined
      return rehashed(found, password).catch(onGone)
    },
    async find(id) {
      const found = await load(id)
      return found && open(found).catch(onGone)
    },
    async findByEmail(email) {
      const found = await loadByEmail(email)
      return found && open(found).catch(onGone)
    },
    idOf: async (email) => (await loadByEmail(email))?.stored.id,
    close: async (seen) => {
      const closed = await close(seen).catch(onGone)
      return closed ?? 'gone'
    },
    finish,
    isPassword: async (id, password) => verifyPassword((await load(id))?.stored.password, password),
    async setPassword(id, password) {
      const hashed = await hashPassword(password)
      return changed(
        update(id, async (stored) => ({ ...stored, password: hashed, version: (stored.version ?? 0) + 1 })),
      )
    },
    setSecondFactor: (id, factor, { keepSessions = false, instead } = {}) =>
      update(id, async (stored, home) => {
        // If two requests use the same code at once, the second one finds a changed factor and is refused.
        const seen = instead === undefined ? undefined : JSON.stringify(instead)
        if (seen !== undefined && JSON.stringify((await open({ home, stored })).secondFactor) !== seen)
          return undefined
        return {
          ...stored,
          version: (stored.version ?? 0) + (keepSessions ? 0 : 1),
          secondFactor: factor && (await home.fields.seal(id, 'second factor', JSON.stringify(factor))),
        }
      }),
  }
}

function onGone(error: unknown): undefined {
  if (!(error instanceof PersonGone)) throw error
}

/** An error handler that returns the result of `follows` for a revision conflict, and rethrows other errors. */
function onConflict<T>(follows: () => T): (error: unknown) => T {
  return (error) => {
    if (error instanceof RevisionConflict) return follows()
    throw error
  }
}
