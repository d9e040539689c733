import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { findLeaks } from '../../../src/audit/leaks.ts'
import { compileModels } from '../../../src/audit/models.ts'
import type { SealedRecord } from '../../../src/audit/session.ts'

const models = compileModels('models', {
  user: { person: 'id', open: ['id', 'nickname'], secret: ['passwordHash'], nested: { orders: 'order' } },
  order: { open: ['id'] },
})

const sealed = (record: object, person = '7'): SealedRecord => ({
  person,
  name: 'user',
  record,
  model: models.get('user'),
})

const ALICE = {
  id: 'id-of-alice',
  nickname: 'nick-of-alice',
  email: 'alice@example.org',
  surname: 'Liddell',
  full: 'Alice Liddell',
  note: 'says "hi" & <b>',
  born: new Date('1852-05-04T00:00:00Z'),
  phone: 441865270000,
  pin: 1234,
  initials: 'AL',
  tags: ['croquet', { deep: 'hatter' }],
  picture: Buffer.from('the picture of Alice, which is long'),
  address: { city: 'Oxford', house: undefined },
  passwordHash: '$argon2id$hash',
  orders: [{ id: 1, total: 'order-total' }],
  decimal: new (class Decimal {
    toString = (): string => '12345.67'
  })(),
}

const found = (
  text: string,
  read: readonly string[] = [],
  known: readonly string[] = [],
  record: object = ALICE,
) =>
  findLeaks(text, { sealed: [sealed(record)], isRead: (_sealed, field) => read.includes(field), known }).map(
    ({ field }) => field,
  )

describe('findLeaks', () => {
  const texts: [what: string, text: string, fields: readonly string[]][] = [
    ['a value in JSON', '{"email":"alice@example.org"}', ['email']],
    ['a value with escapes of JSON', JSON.stringify({ a: ALICE.note }), ['note']],
    ['units as escapes of JSON', '"\\u0061lice@example.org"', ['email']],
    ['a value in HTML', '<p>says &quot;hi&quot; &amp; &lt;b&gt;</p>', ['note']],
    ['numbers as entities', '<p>&#97;lice&#x40;example.org</p>', ['email']],
    ['a value in a URL', 'location: /?email=alice%40example.org', ['email']],
    ['a date', '{"born":"1852-05-04T00:00:00.000Z"}', ['born']],
    ['a day', 'born on 1852-05-04', ['born']],
    ['a number', '{"phone":441865270000}', ['phone']],
    ['an item of a list', '["croquet"]', ['tags']],
    ['what is deep inside of one', 'the hatter came', ['tags']],
    ['bytes in base64', ALICE.picture.toString('base64'), ['picture']],
    ['bytes in hexadecimal digits', ALICE.picture.toString('hex'), ['picture']],
    ['bytes as they are in a list', JSON.stringify({ a: ALICE.picture.toString('base64url') }), ['picture']],
    ['a nested field', 'lives in Oxford.', ['address.city']],
    ['what prints itself', '12345.67', ['decimal']],
    ['a long value inside of a word', 'xxalice@example.orgxx', ['email']],
    ['a secret', 'the hash is $argon2id$hash', ['passwordHash']],
    ['several values', 'Alice Liddell alice@example.org', ['email', 'surname', 'full']],
    ['nothing', '{"ok":true}', []],
    ['what is open', 'id-of-alice nick-of-alice', []],
    ['a short value', 'AL 1234', []],
    ['a short value inside of a longer word', 'Liddellsson, Oxfordshire', []],
    ['rows of another model, which are looked for by themselves', 'order-total', []],
    ['an empty response', '', []],
  ]
  it.each(texts)('finds %s', (_what, text, fields) => {
    expect(found(text).toSorted()).toEqual([...fields].toSorted())
  })

  it('does not report values that were read, or values inside them', () => {
    expect(found('Alice Liddell', ['full'])).toEqual([])
    expect(found('Alice Liddell, Liddell', ['full'])).toEqual(['surname'])
    expect(found('alice@example.org', ['email'])).toEqual([])
  })

  it('does not report values known from elsewhere', () => {
    expect(found('alice@example.org', [], ['alice@example.org'])).toEqual([])
    expect(found('Dear Alice Liddell', [], ['Dear Alice Liddell'])).toEqual([])
  })

  it('reports a secret even if it was read', () => {
    expect(found('$argon2id$hash', ['passwordHash'], ['$argon2id$hash'])).toEqual(['passwordHash'])
  })

  it('does not report the value of one person if it was read from another', () => {
    const two = [sealed({ city: 'Oxford' }, '1'), sealed({ city: 'Oxford' }, '2')]
    const look = (read: (person: string) => boolean) =>
      findLeaks('Oxford', { sealed: two, isRead: ({ person }) => read(person), known: [] }).map(
        ({ sealed: { person } }) => person,
      )
    expect(look(() => false)).toEqual(['1', '2'])
    expect(look((person) => person === '2')).toEqual([])
  })

  it('finds any value of at least five characters, anywhere in a text', () => {
    const words = fc.array(fc.stringMatching(/^[a-z ,.<>{}"]{0,12}$/), { maxLength: 20 })
    const value = fc.stringMatching(/^[A-Z][A-Z@.' -]{3,20}[A-Z]$/)
    fc.assert(
      fc.property(
        words,
        words,
        value,
        fc.constantFrom('plain', 'json', 'url'),
        (before, after, secret, how) => {
          const written =
            how === 'json' ? JSON.stringify(secret) : how === 'url' ? encodeURIComponent(secret) : secret
          const text = `${before.join('')}\n${written}\n${after.join('')}`
          expect(found(text, [], [], { field: secret })).toEqual(['field'])
          expect(found(text, ['field'], [], { field: secret })).toEqual([])
          expect(found(`${before.join('')}\n${after.join('')}`, [], [], { field: secret })).toEqual([])
        },
      ),
    )
  })

  it('searches for very many values in one pass', () => {
    const many = Array.from({ length: 3_000 }, (_, id) =>
      sealed({ email: `person-${id}@example.org` }, String(id)),
    )
    const text = `${'x '.repeat(200_000)} person-2999@example.org`
    const leaks = findLeaks(text, { sealed: many, isRead: () => false, known: [] })
    expect(leaks.map(({ sealed: { person } }) => person)).toEqual(['2999'])
  })
})
