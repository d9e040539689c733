import { createHmac, randomUUID } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'
import type { Vault } from 'portcullis/vault'
import type { Storage } from './storage.ts'

/** What an app can ask for. */
export const FIELDS = ['firstname', 'surname', 'email', 'image', 'country', 'language'] as const
export type Field = (typeof FIELDS)[number]

/** A person, as stored: every field may be empty but email and country. */
export type Person = { readonly id: string } & { readonly [Name in Field]: string }

export interface People {
  /** `undefined`: the email address is taken. */
  signUp(profile: Omit<Person, 'id'>, password: string): Promise<Person | undefined>
  /** `undefined`: no such person, or another password; both take the same time. */
  signIn(email: string, password: string): Promise<Person | undefined>
  find(id: string): Promise<Person | undefined>
  /** Changes one field of a person, and answers with the person as changed. */
  change(id: string, field: Exclude<Field, 'email'>, value: string): Promise<Person>
  /** One name for all spellings of an email address, that says nothing to whoever lacks the key. */
  nameOf(email: string): string
}

interface StoredPerson {
  readonly id: string
  readonly password: string
  readonly fields: Readonly<Record<Field, string>>
}

// OWASP: argon2id with 19 MiB, two iterations, one lane. The salt is random and stands in the hash.
const ARGON2 = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** People in a storage: each field sealed by itself, the email address found by a keyed hash, the password hashed. */
export async function createPeople(storage: Storage, vault: Vault, indexKey: Uint8Array): Promise<People> {
  const nobody = await hash(randomUUID(), ARGON2)
  const nameOf = (email: string): string =>
    createHmac('sha256', indexKey).update(email.trim().normalize('NFKC').toLowerCase()).digest('base64url')
  const index = (email: string): string => `email:${nameOf(email)}`

  function open({ id, fields }: StoredPerson): Person {
    const opened = FIELDS.map((field) => [field, vault.open(fields[field], `person:${id}:${field}`)])
    return { id, ...(Object.fromEntries(opened) as Record<Field, string>) }
  }

  async function load(id: string): Promise<StoredPerson | undefined> {
    const text = await storage.get(`person:${id}`)
    return text === undefined ? undefined : (JSON.parse(text) as StoredPerson)
  }

  return {
    nameOf,
    async change(id, field, value) {
      const stored = await load(id)
      if (stored === undefined) throw new Error('there is no such person')
      const fields = { ...stored.fields, [field]: vault.seal(value, `person:${id}:${field}`) }
      await storage.put(`person:${id}`, JSON.stringify({ ...stored, fields }))
      return open({ ...stored, fields })
    },
    async signUp(profile, password) {
      const id = randomUUID()
      const sealed = FIELDS.map((field) => [field, vault.seal(profile[field], `person:${id}:${field}`)])
      const stored: StoredPerson = {
        id,
        password: await hash(password.normalize('NFC'), ARGON2),
        fields: Object.fromEntries(sealed) as Record<Field, string>,
      }
      await storage.put(`person:${id}`, JSON.stringify(stored))
      if (await storage.add(index(profile.email), id)) return { id, ...profile }
      await storage.remove(`person:${id}`)
      return undefined
    },
    async signIn(email, password) {
      const id = await storage.get(index(email))
      const stored = id === undefined ? undefined : await load(id)
      const right = await verify(stored?.password ?? nobody, password.normalize('NFC'))
      return stored !== undefined && right ? open(stored) : undefined
    },
    async find(id) {
      const stored = await load(id)
      return stored && open(stored)
    },
  }
}
