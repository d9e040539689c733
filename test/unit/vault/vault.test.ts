import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { ConfigError } from 'portcullis'
import { createVault } from 'portcullis/vault'

const key = (id: string) => ({ id, key: randomBytes(32).toString('base64') })
const first = key('2026-11')
const second = key('2026-12')

describe('createVault', () => {
  it('opens what it has sealed, and never seals a text to the same result twice', () => {
    const vault = createVault({ keys: [first] })
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (text, context) => {
        const sealed = vault.seal(text, context)
        expect(vault.open(sealed, context)).toBe(Buffer.from(text).toString())
        expect(vault.seal(text, context)).not.toBe(sealed)
      }),
    )
  })

  it('seals bytes as well as text', () => {
    const vault = createVault({ keys: [first] })
    const bytes = randomBytes(1_000)
    expect(Buffer.from(vault.openBytes(vault.seal(bytes, 'c'), 'c'))).toEqual(bytes)
    expect(vault.open(vault.seal('größer', 'c'), 'c')).toBe('größer')
  })

  it('opens nothing in another context', () => {
    const vault = createVault({ keys: [first] })
    expect(() => vault.open(vault.seal('text', 'app:a'), 'app:b')).toThrow(
      /sealed with another key or for another place, or was changed/,
    )
  })

  it('opens nothing with a changed character, even one with unused bits', () => {
    const vault = createVault({ keys: [first] })
    for (const text of ['', 'a', 'ab']) {
      const sealed = vault.seal(text, 'context')
      const changed = [...sealed].map(
        (char, at) => sealed.slice(0, at) + (char === 'x' ? 'y' : 'x') + sealed.slice(at + 1),
      )
      const ends = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=:', ''].map(
        (end) => sealed.slice(0, -1) + end,
      )
      for (const other of [...changed, ...ends, `${sealed}=`, `${sealed}\n`, `${sealed}:x`]) {
        if (other === sealed) continue
        expect(() => vault.open(other, 'context')).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }))
      }
    }
  })

  for (const text of ['', 'v1', 'v1:2026-11:', 'v1:2026-11:AAAA', 'v2:2026-11:AAAA', 'v1:other:AAAA', '🙂']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => createVault({ keys: [first] }).open(text, '')).toThrow(
        expect.objectContaining({ code: 'UNAVAILABLE' }),
      )
    })
  }

  it('rotates: the first key seals, all of them open', () => {
    const old = createVault({ keys: [first] }).seal('text', 'c')
    const rotated = createVault({ keys: [second, first] })
    expect(rotated.open(old, 'c')).toBe('text')
    expect(rotated.seal('text', 'c')).toContain('2026-12')
    expect(() => createVault({ keys: [second] }).open(old, 'c')).toThrow(/which the vault does not have/)
  })

  it('rotates with states: the active key seals at any position, a destroyed one opens nothing', () => {
    const old = createVault({ keys: [first] }).seal('text', 'c')
    const both = createVault({ keys: [first, { ...second, state: 'active' }] })
    expect(both.keys).toEqual([
      { id: first.id, state: 'decrypt-only' },
      { id: second.id, state: 'active' },
    ])
    expect(both.open(old, 'c')).toBe('text')
    const anew = both.reseal(old, 'c')
    expect([both.keyIdOf(old), both.keyIdOf(anew)]).toEqual([first.id, second.id])
    expect(both.reseal(anew, 'c')).toBe(anew)
    expect(() => both.reseal(old, 'd')).toThrow(expect.objectContaining({ reason: 'SEALED_CHANGED' }))
    const after = createVault({ keys: [second, { id: first.id, state: 'destroyed' }] })
    expect(after.open(anew, 'c')).toBe('text')
    expect(() => after.open(old, 'c')).toThrow(
      expect.objectContaining({ code: 'UNAVAILABLE', reason: 'SEALED_KEY_DESTROYED' }),
    )
    expect(after.fingerprints('x', 'c')).toHaveLength(1)
  })

  it('reports why it does not open something', () => {
    const vault = createVault({ keys: [first] })
    const sealed = vault.seal('texts', 'c')
    const reasons: [string, string][] = [
      ['', 'SEALED_DAMAGED'],
      ['text', 'SEALED_DAMAGED'],
      [sealed.slice(0, 30), 'SEALED_DAMAGED'],
      [sealed.slice(0, -4), 'SEALED_CHANGED'],
      [sealed.replace(first.id, 'other'), 'SEALED_KEY_UNKNOWN'],
      [createVault({ keys: [key(first.id)] }).seal('text', 'c'), 'SEALED_CHANGED'],
    ]
    for (const [text, reason] of reasons)
      expect(() => vault.open(text, 'c')).toThrow(expect.objectContaining({ reason }))
    expect(vault.keyIdOf('text')).toBeUndefined()
  })

  it('does not open a text that names another key, even with the same bytes', () => {
    const same = { id: '2027-01', key: first.key }
    const vault = createVault({ keys: [first, same] })
    const sealed = vault.seal('text', 'context')
    expect(vault.open(sealed, 'context')).toBe('text')
    const renamed = sealed.replace(first.id, same.id)
    expect(renamed).not.toBe(sealed)
    expect(() => vault.open(renamed, 'context')).toThrow('was changed')
  })

  it('shows no key when printed', () => {
    expect(inspect(createVault({ keys: [first] }), { depth: 9, showHidden: true })).not.toContain(first.key)
  })

  const wrong: [object, RegExp][] = [
    [
      'SECRET' as never,
      /`createVault` takes an object with at least `keys`, got a value that is not shown here, because it may be secret/,
    ],
    [{ key: 'SECRET' }, /createVault: unknown option `key`: did you mean `keys`\?/],
    [{ keys: 'SECRET' }, /`createVault.keys`/],
    [{ keys: ['SECRET'] }, /`createVault.keys\[0\]` must be an object/],
    [{ keys: [undefined] }, /`createVault.keys\[0\]`/],
    [{ keys: [{ id: 'SECRET SECRET', key: first.key }] }, /`createVault.keys\[0\].id`/],
    [{}, /`createVault.keys` is missing: give an array of at least one key/],
    [{ keys: [] }, /`createVault.keys`/],
    [{ keys: [{ id: 'a b', key: first.key }] }, /`createVault.keys\[0\].id`/],
    [{ keys: [first, first] }, /`createVault.keys\[1\].id`/],
    [
      { keys: [{ id: 'a', key: 'SECRET'.repeat(9) }] },
      /`createVault.keys\[0\].key` must be 32 bytes, .*not shown/,
    ],
    [{ keys: [{ id: 'a', key: `${first.key}\n` }] }, /`createVault.keys\[0\].key`/],
    [{ keys: [{ ...first, state: 'SECRET' }] }, /`createVault.keys\[0\].state` must be the state of a key/],
    [
      { keys: [{ ...first, state: 'destroyed' }] },
      /`createVault.keys\[0\].key` must be left out, because the key is destroyed/,
    ],
    [{ keys: [{ id: 'a', state: 'destroyed' }] }, /`createVault.keys` must be an array with one active key/],
    [{ keys: [{ ...first, state: 'decrypt-only' }] }, /an array with one active key/],
    [{ keys: [{ id: 'a', state: 'active' }] }, /`createVault.keys\[0\].key` is missing/],
    [
      { keys: [first, { ...second, state: 'active' }, { ...key('c'), state: 'active' }] },
      /`createVault.keys\[2\].state` must be a state other than `active`/,
    ],
    [{ keys: [{ id: 'a', key: randomBytes(31) }] }, /`createVault.keys\[0\].key`/],
  ]
  for (const [options, message] of wrong) {
    it(`refuses ${String(message)}, without showing it`, () => {
      expect(() => createVault(options as never)).toThrow(message)
      expect(() => createVault(options as never)).not.toThrow(/SECRET/)
    })
  }

  it('reports all problems at once, without a key', () => {
    const given = { kes: 1, keys: [{ id: 'a b', key: 'SECRET' }, first, first, 7] }
    let thrown: unknown
    try {
      createVault(given as never)
    } catch (error) {
      thrown = error
    }
    expect((thrown as ConfigError).issues.map(({ code, option }) => `${code} ${option}`)).toEqual([
      'OPTION_UNKNOWN createVault.kes',
      'OPTION_INVALID createVault.keys[0].id',
      'OPTION_INVALID createVault.keys[0].key',
      'OPTION_INVALID createVault.keys[2].id',
      'OPTION_INVALID createVault.keys[3]',
    ])
    expect(String(thrown)).not.toMatch(/SECRET/)
  })

  it('creates the same fingerprints for the same content and context, first that of the sealing key', () => {
    const [one, both] = [createVault({ keys: [first] }), createVault({ keys: [second, first] })]
    const staged = createVault({
      keys: [
        { ...first, state: 'decrypt-only' },
        { ...second, state: 'active' },
      ],
    })
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (content, other, context) => {
        const prints = both.fingerprints(content, context)
        expect(prints).toEqual(createVault({ keys: [second, first] }).fingerprints(content, context))
        expect(staged.fingerprints(content, context)).toEqual(prints)
        expect(prints[1]).toBe(one.fingerprints(content, context)[0])
        expect(prints[0]).toMatch(/^2026-12\.[A-Za-z0-9_-]{43}$/)
        expect(both.fingerprints(other, context)[0] === prints[0]).toBe(other === content)
        expect(both.fingerprints(content, `${context}.`)[0]).not.toBe(prints[0])
      }),
    )
  })
})
