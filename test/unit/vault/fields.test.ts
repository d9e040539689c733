import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { ConfigError } from 'portcullis'
import {
  createFieldVault,
  createVault,
  memoryPeople,
  type FieldVault,
  type FieldVaultOptions,
  type PeopleStore,
} from 'portcullis/vault'

const vault = createVault({ keys: [{ id: 'region', key: randomBytes(32) }] })
const indexVault = createVault({ keys: [{ id: 'index', key: randomBytes(32) }] })

function fieldsOf(options: Partial<FieldVaultOptions> = {}): FieldVault {
  return createFieldVault({ vault, people: memoryPeople(), region: 'europe', ...options })
}

const reason = (name: string) => expect.objectContaining({ code: 'UNAVAILABLE', reason: name })

describe('a field vault', () => {
  it('opens what it has sealed, and never seals a value to the same text twice', async () => {
    const fields = fieldsOf()
    await fc.assert(
      fc.asyncProperty(
        fc.string({ minLength: 1 }),
        fc.string({ unit: 'grapheme' }),
        async (person, value) => {
          const sealed = await fields.seal(person, 'email', value)
          expect(await fields.open(person, 'email', sealed)).toBe(value)
          expect(await fields.seal(person, 'email', value)).not.toBe(sealed)
        },
      ),
    )
  })

  it('seals bytes and whole records', async () => {
    const fields = fieldsOf()
    const bytes = randomBytes(100_000)
    const image = await fields.seal('ada', 'image', bytes)
    expect(Buffer.from(await fields.openBytes('ada', 'image', image))).toEqual(bytes)
    const record = { firstname: 'Ada', surname: 'Lovelace', note: '' }
    const sealed = await fields.sealRecord('ada', record)
    expect(await fields.openRecord('ada', sealed)).toEqual(record)
    await expect(fields.openRecord('ada', { ...sealed, surname: sealed.firstname })).rejects.toThrow(
      reason('SEALED_CHANGED'),
    )
  })

  it('adds 33 bytes to a value', async () => {
    const sealed = await fieldsOf().seal('ada', 'email', 'x'.repeat(100))
    expect(Buffer.from(sealed, 'base64url')).toHaveLength(133)
  })

  it('opens no value in another region, tenant, model or field, or for another person', async () => {
    const people = memoryPeople()
    const usual = { people, region: 'europe', tenant: 'shop', model: 'person' }
    const fields = fieldsOf(usual)
    const sealed = await fields.seal('ada', 'email', 'ada@example.org')
    await fields.seal('bob', 'email', 'bob@example.org')
    // The person's key is copied to the expected place, so that the refusal is not due to a missing key.
    const [secret = ''] = (await everything(people)).get(await nameOf(people, fields, 'ada')) ?? []
    const others: [string, FieldVault, string, string, string][] = [
      ['another person', fields, 'bob', 'email', 'SEALED_KEY_UNKNOWN'],
      ['another field', fields, 'ada', 'surname', 'SEALED_CHANGED'],
      ['another model', fieldsOf({ ...usual, model: 'staff' }), 'ada', 'email', 'SEALED_CHANGED'],
      [
        'another region',
        fieldsOf({ ...usual, region: 'world', people: givingAlways(secret) }),
        'ada',
        'email',
        'SEALED_CHANGED',
      ],
      [
        'another tenant',
        fieldsOf({ ...usual, tenant: 'bank', people: givingAlways(secret) }),
        'ada',
        'email',
        'SEALED_CHANGED',
      ],
    ]
    for (const [what, other, person, field, why] of others)
      await expect([what, await failure(other.open(person, field, sealed))]).toEqual([what, reason(why)])
    expect(await fields.open('ada', 'email', sealed)).toBe('ada@example.org')
  })

  it('binds each name separately, so that no two places have the same binding', async () => {
    const fields = fieldsOf()
    const sealed = await fields.seal('a', 'b","c', 'value')
    expect(await failure(fields.open('c","a', 'b', sealed))).toBeInstanceOf(Error)
    await expect(fields.open('a', 'b', sealed)).rejects.toThrow(reason('SEALED_CHANGED'))
  })

  it('refuses everything that it has not sealed', async () => {
    const fields = fieldsOf()
    const sealed = await fields.seal('ada', 'email', 'ada@example.org')
    const later = Buffer.from(sealed, 'base64url')
    later[0] = 2
    const wrong = ['', 'ada@example.org', 'AQ', `${sealed}=`, `${sealed}A`, later.toString('base64url')]
    for (const text of [...wrong, vault.seal('x', 'y'), undefined, null, 7, {}])
      await expect(fields.open('ada', 'email', text as string)).rejects.toThrow(reason('SEALED_DAMAGED'))
    for (let length = 44; length < sealed.length; length += 1)
      await expect(fields.open('ada', 'email', sealed.slice(0, length))).rejects.toThrow(
        expect.objectContaining({ reason: expect.stringMatching(/^SEALED_(?:DAMAGED|CHANGED)$/) }),
      )
  })

  it('cannot be read by anybody after the person is erased', async () => {
    const people = memoryPeople()
    const [fields, other] = [fieldsOf({ people }), fieldsOf({ people, maxAge: 1 })]
    const sealed = await fields.seal('ada', 'email', 'ada@example.org')
    expect(await other.open('ada', 'email', sealed)).toBe('ada@example.org')
    expect(await fields.erase('ada')).toBe(1)
    expect(await fields.erase('ada')).toBe(0)
    await new Promise((resolve) => setTimeout(resolve, 10))
    for (const each of [fields, other, fieldsOf({ people })])
      await expect(each.open('ada', 'email', sealed)).rejects.toThrow(reason('SEALED_PERSON_ERASED'))
    // A later person with the same id has another key.
    const again = await fields.seal('ada', 'email', 'ada@example.com')
    await expect(fields.open('ada', 'email', sealed)).rejects.toThrow(reason('SEALED_KEY_UNKNOWN'))
    expect(await fields.open('ada', 'email', again)).toBe('ada@example.com')
  })

  it('opens nothing with the key of another person, even if somebody has copied it in the store', async () => {
    const people = memoryPeople()
    const fields = fieldsOf({ people })
    const sealed = await fields.seal('ada', 'email', 'ada@example.org')
    const [key = ''] = [...(await everything(people)).values()].flat()
    await fields.seal('bob', 'email', 'bob@example.org')
    for await (const names of people.names())
      for (const name of names) {
        await people.erase(name)
        await people.add(name, key, 1)
      }
    const later = fieldsOf({ people })
    await expect(later.open('bob', 'email', sealed)).rejects.toThrow(reason('SEALED_CHANGED'))
    await expect(later.seal('bob', 'email', 'x')).rejects.toThrow(reason('SEALED_CHANGED'))
    expect(await later.open('ada', 'email', sealed)).toBe('ada@example.org')
  })

  it('has a key for each region and tenant, and erases only that one', async () => {
    const people = memoryPeople()
    const all = [
      fieldsOf({ people }),
      fieldsOf({ people, region: 'world' }),
      fieldsOf({ people, tenant: 't' }),
    ]
    const sealed = await Promise.all(all.map((fields) => fields.seal('ada', 'email', 'x')))
    expect((await everything(people)).size).toBe(3)
    await all[0]?.erase('ada')
    expect(await all[1]?.open('ada', 'email', sealed[1] ?? '')).toBe('x')
    expect(await fieldsOf({ people, tenant: 't' }).open('ada', 'email', sealed[2] ?? '')).toBe('x')
  })

  it('does not cache a key that was read while the person was erased', async () => {
    const people = memoryPeople()
    const sealed = await fieldsOf({ people }).seal('ada', 'email', 'x')
    let answer: () => void = () => undefined
    const held = new Promise<void>((resolve) => (answer = resolve))
    const slow: PeopleStore = {
      ...people,
      async read(name) {
        const found = await people.read(name)
        await held
        return found
      },
    }
    const fields = fieldsOf({ people: slow })
    const opening = fields.open('ada', 'email', sealed)
    await fields.erase('ada')
    answer()
    expect(await opening).toBe('x')
    await expect(fields.open('ada', 'email', sealed)).rejects.toThrow(reason('SEALED_PERSON_ERASED'))
  })

  it('creates one key for a person, even with concurrent writers', async () => {
    const people = memoryPeople()
    const each = Array.from({ length: 20 }, () => fieldsOf({ people }))
    const sealed = await Promise.all(each.map((fields, at) => fields.seal('ada', 'email', String(at))))
    expect([...(await everything(people)).values()].map((keys) => keys.length)).toEqual([1])
    expect(await Promise.all(sealed.map((text) => fieldsOf({ people }).open('ada', 'email', text)))).toEqual(
      sealed.map((_, at) => String(at)),
    )
  })

  it('distinguishes an unreachable store from an erased person', async () => {
    const away = async (): Promise<never> => Promise.reject(new Error('away'))
    const never = (): Promise<never> => new Promise(() => undefined)
    const sealed = await fieldsOf().seal('ada', 'email', 'x')
    const late = fieldsOf({ people: { ...memoryPeople(), read: never }, timeout: 1 })
    expect(await failure(late.open('ada', 'email', sealed))).toMatchObject({
      code: 'UNAVAILABLE',
      message: 'the store of keys gave no answer within 1 ms',
    })
    const broken = fieldsOf({ people: { ...memoryPeople(), add: away } })
    await expect(broken.seal('ada', 'email', 'x')).rejects.toThrow('away')
  })

  it('refuses names and values that it could not restore', async () => {
    const fields = fieldsOf()
    for (const person of ['', undefined, 7])
      await expect(fields.seal(person as string, 'email', 'x')).rejects.toThrow(/the id of a person must/)
    for (const field of ['', 'x'.repeat(129), undefined])
      await expect(fields.seal('ada', field as string, 'x')).rejects.toThrow(/the name of a field must/)
    await expect(fields.seal('ada', 'email', '\uD83D')).rejects.toThrow(/half a character/)
  })

  it('shows neither key nor value when printed', async () => {
    const people = memoryPeople()
    const fields = fieldsOf({ people })
    await fields.seal('ada', 'email', 'ada@example.org')
    expect(inspect(fields, { depth: 9, showHidden: true })).not.toMatch(/ada@/)
    expect(JSON.stringify([...(await everything(people))])).not.toMatch(/ada/)
  })
})

describe('a blind index', () => {
  const indexes = {
    email: { match: 'email', unique: true },
    phone: { unique: true },
    city: { beacon: 8 },
  } as const

  it('finds a value in any equivalent spelling', () => {
    const fields = fieldsOf({ indexes, indexVault })
    const [index] = fields.index('email', 'Ada@Example.org')
    expect(index).toMatch(/^index\.[A-Za-z0-9_-]{22}$/)
    expect(fields.index('email', ' ada@example.ORG ')).toEqual([index])
    expect(fields.index('email', 'ａda@example.org')).toEqual([index])
    expect(fields.index('email', 'adb@example.org')).not.toEqual([index])
    expect(fields.index('phone', 'Ada')).not.toEqual(fields.index('phone', 'ada'))
  })

  it('differs for each region, tenant, model and field', () => {
    const places = [{}, { region: 'world' }, { tenant: 'shop' }, { model: 'staff' }].map((place) =>
      fieldsOf({ indexes: { a: { unique: true }, b: { unique: true } }, indexVault, ...place }),
    )
    const all = places.flatMap((fields) => ['a', 'b'].map((field) => fields.index(field, 'x')[0]))
    expect(new Set(all).size).toBe(8)
  })

  it('has only the bits of a beacon, so that values collide', () => {
    const fields = fieldsOf({ indexes, indexVault })
    const values = new Set(Array.from({ length: 5_000 }, (_, at) => fields.index('city', `city ${at}`)[0]))
    expect(values.size).toBe(256)
  })

  it('rotates: the first one uses the new key, and the old one is searched too', () => {
    const keys = [
      { id: 'b', key: randomBytes(32) },
      { id: 'a', key: randomBytes(32) },
    ]
    const before = fieldsOf({ indexes, indexVault: createVault({ keys: keys.slice(1) }) })
    const after = fieldsOf({ indexes, indexVault: createVault({ keys }) })
    expect(after.index('email', 'x@y.z')[1]).toBe(before.index('email', 'x@y.z')[0])
    expect(after.index('email', 'x@y.z')[0]).toMatch(/^b\./)
  })

  it('is not available for a field without one', () => {
    expect(() => fieldsOf().index('email', 'x')).toThrow(/there is no index for the field `email`/)
    expect(() => fieldsOf({ indexes, indexVault }).index('toString', 'x')).toThrow(/there is no index/)
  })

  it.each(['email', 'phone'])('of %s refuses a value that is too long, or not a string', (field) => {
    const fields = fieldsOf({ indexes, indexVault })
    expect(fields.index(field, 'x'.repeat(4_096))).toHaveLength(1)
    for (const value of ['x'.repeat(4_097), undefined, 7])
      expect(() => fields.index(field, value as string)).toThrow(
        'an indexed value must be a string of at most 4096 characters',
      )
  })
})

describe('createFieldVault', () => {
  const right = { vault, people: memoryPeople(), region: 'europe' }
  const wrong: [object, RegExp][] = [
    [{ ...right, vault: undefined }, /`createFieldVault.vault` is missing/],
    [{ ...right, vault: 'SECRET' }, /`createFieldVault.vault` must be a vault made by createVault\(\)/],
    [{ ...right, people: {} }, /`createFieldVault.people` must be a store of keys/],
    [{ ...right, region: '' }, /`createFieldVault.region` must be a string of 1 to 128 characters, got ""/],
    [{ ...right, regoin: 'x' }, /unknown option `regoin`: did you mean `region`\?/],
    [{ ...right, tenant: 7 }, /`createFieldVault.tenant`/],
    [{ ...right, maxAge: 0 }, /`createFieldVault.maxAge`/],
    [{ ...right, indexes: { email: { unique: true } } }, /`createFieldVault.indexVault` is missing/],
    [{ ...right, indexVault, indexes: [] }, /`createFieldVault.indexes` must be an object/],
    [
      { ...right, indexVault, indexes: { email: {} } },
      /`createFieldVault.indexes.email` must be an index with/,
    ],
    [{ ...right, indexVault, indexes: { city: { unique: true, beacon: 8 } } }, /either `unique: true`/],
    [{ ...right, indexVault, indexes: { city: { beacon: 25 } } }, /bits from 1 to 24, got 25/],
    [{ ...right, indexVault, indexes: { city: { match: 'emial', unique: true } } }, /did you mean `email`/],
    [{ ...right, indexVault, indexes: { country: { beacon: 4 } } }, /few values and an index would reveal/],
    [
      { ...right, indexVault, indexes: { birth_year: { beacon: 4 } } },
      /few values and an index would reveal/,
    ],
    [[], /`createFieldVault` takes an object with at least `vault`, `people`, `region`/],
  ]
  it.each(wrong)('refuses options: case %#', (options, message) => {
    let thrown: unknown
    try {
      createFieldVault(options as never)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) })
    expect((thrown as ConfigError).message).not.toMatch(/SECRET/)
  })
})

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'no failure',
    (error: unknown) => error,
  )
}

async function everything(people: PeopleStore): Promise<Map<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>()
  for await (const names of people.names()) for (const name of names) found.set(name, await people.read(name))
  return found
}

/** The name under which a person's key is stored: the one that disappears if the person is erased from a copy. */
async function nameOf(people: PeopleStore, fields: FieldVault, person: string): Promise<string> {
  const asked: string[] = []
  const watching: PeopleStore = { ...people, add: async (name) => (asked.push(name), people.read(name)) }
  await createFieldVault({ vault, people: watching, region: 'europe', tenant: 'shop' }).seal(person, 'x', '')
  expect(fields).toBeDefined()
  return asked[0] ?? ''
}

/** A store that always returns the same key. Keys are bound to their place, so it opens nothing elsewhere. */
function givingAlways(secret: string): PeopleStore {
  return { ...memoryPeople(), read: async () => [secret] }
}

describe('people in memory', () => {
  it('have a secret replaced only if it is stored, and no more secrets than the limit', async () => {
    const people = memoryPeople()
    expect(await people.add('ada', 'a', 2)).toEqual(['a'])
    expect(await people.replace('ada', 'other', 'b')).toBe(false)
    expect(await people.add('ada', 'b', 2)).toEqual(['a', 'b'])
    expect(await people.add('ada', 'c', 2)).toEqual(['a', 'b'])
    expect(await people.replace('ada', 'b', 'c')).toBe(true)
    expect(await people.read('ada')).toEqual(['a', 'c'])
  })
})
