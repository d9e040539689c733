import { inspect } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import { compileModels, type PersonalModels } from '../../../src/audit/models.ts'
import { createAuditSession, type SealedRecord } from '../../../src/audit/session.ts'
import { ConfigError, UsageError } from '../../../src/errors.ts'

const MODELS: PersonalModels = {
  user: {
    person: 'id',
    open: ['id', 'settings', 'address.country'],
    secret: ['passwordHash', 'keys.signing'],
    nested: { orders: 'order', invitedBy: 'user' },
  },
  order: { open: ['id'] },
  letter: { person: (row: { to: { id: string } }) => row.to.id },
}

function session(models: PersonalModels = MODELS) {
  const reads: string[] = []
  const sealed: SealedRecord[] = []
  const audit = createAuditSession({
    requestId: 'request-1',
    now: () => 0,
    models: compileModels('models', models),
    onSealed: (record) => void sealed.push(record),
  })
  const log = audit.attach({ who: () => ({}), pseudonymise: (_kind, value) => value, keep: () => undefined })
  const read = (): string[] => {
    for (const event of log.take()) {
      if (event.kind === 'field') reads.push(`${event.record} ${event.person} ${event.field}`)
      if (event.kind === 'list')
        for (const [person, ...counts] of event.persons)
          reads.push(
            ...event.fields.flatMap((field, at) =>
              counts[at] ? [`${event.record} ${person} ${field}`] : [],
            ),
          )
    }
    return reads.splice(0).toSorted()
  }
  return { audit, read, sealed }
}

const USER = {
  id: 7,
  email: 'alice@example.org',
  settings: { theme: 'dark', sizes: [1, 2] },
  address: { city: 'Oxford', country: 'GB' },
  passwordHash: 'HASH',
  keys: { signing: 'KEY', public: 'PUBLIC' },
  orders: [
    { id: 1, total: 10 },
    { id: 2, total: 20 },
  ],
  invitedBy: null,
}

describe('rows of a model', () => {
  it('are recorded field by field, for the person that the row names', () => {
    const { audit, read } = session()
    const row = audit.rows('user', USER)
    expect([row.email, row.address.city]).toEqual(['alice@example.org', 'Oxford'])
    expect(read()).toEqual(['user 7 address.city', 'user 7 email'])
  })

  it('are returned in a list in their order, with `null` and `undefined` unchanged', () => {
    const { audit } = session()
    expect(audit.rows('user', [USER, { ...USER, id: 8 }]).map(({ id }) => id)).toEqual([7, 8])
    expect([audit.rows('user', null), audit.rows('user', undefined)]).toEqual([null, undefined])
  })

  it('show public fields without an event, also when printed, and nested values as copies', () => {
    const { audit, read } = session()
    const row = audit.rows('user', USER)
    expect([row.id, row.address.country, row.settings]).toEqual([7, 'GB', { theme: 'dark', sizes: [1, 2] }])
    expect(row.settings).not.toBe(USER.settings)
    expect(inspect(row)).toContain('id: 7')
    expect(inspect(row)).not.toMatch(/alice|dark|HASH/)
    expect(read()).toEqual([])
  })

  it('record undeclared fields', () => {
    const { audit, read } = session()
    const row = audit.rows('user', { ...USER, nickname: 'Al' })
    expect(row.nickname).toBe('Al')
    expect(read()).toEqual(['user 7 nickname'])
  })

  it('provide secrets only through `secret()`, which is recorded', () => {
    const { audit, read } = session()
    const row = audit.rows('user', USER)
    expect(JSON.stringify(row)).not.toMatch(/HASH|KEY/)
    expect({ ...row }).not.toHaveProperty('passwordHash')
    expect(Object.keys(row)).not.toContain('passwordHash')
    expect(() => row.passwordHash).toThrow(UsageError)
    expect(() => row.passwordHash).toThrow(
      /`passwordHash` of the model `user` is secret: read it with audit.secret/,
    )
    expect(() => row.keys.signing).toThrow(UsageError)
    read()
    expect([audit.secret(row, 'passwordHash'), audit.secret(row.keys, 'signing')]).toEqual(['HASH', 'KEY'])
    expect(read()).toEqual(['user 7 keys.signing', 'user 7 passwordHash'])
    for (const [holder, field] of [
      [row, 'email'],
      [row.keys, 'public'],
      [USER, 'passwordHash'],
      [{}, 'passwordHash'],
    ] as const)
      expect(() => audit.secret(holder as typeof USER, field as 'email')).toThrow(UsageError)
  })

  it('of another model are wrapped inside a field, and belong to the same person unless they say otherwise', () => {
    const { audit, read } = session()
    const inviter = { ...USER, id: 9, email: 'bob@example.org', orders: [] }
    const row = audit.rows('user', { ...USER, invitedBy: inviter })
    expect(read()).toEqual([])
    expect(row.orders.map(({ id, total }) => [id, total])).toEqual([
      [1, 10],
      [2, 20],
    ])
    expect(row.invitedBy.email).toBe('bob@example.org')
    expect(read()).toEqual(['order 7 total', 'user 7 orders', 'user 9 email'])
  })

  it('of a missing other model are one field, and accessing it is recorded', () => {
    const { audit, read } = session()
    expect(audit.rows('user', USER).invitedBy).toBeNull()
    expect(read()).toEqual(['user 7 invitedBy'])
  })

  it('that refer to each other have one view each', () => {
    const { audit } = session()
    const row: Record<string, unknown> = { id: 7, orders: [] }
    row['invitedBy'] = row
    const view = audit.rows('user', row)
    expect(view['invitedBy']).toBe(view)
    expect(() => JSON.stringify(view)).toThrow(/circular/)
  })

  it('find the person with a path or a function, with any kind of id', () => {
    class ObjectId {
      readonly #text = '65f0c0ffee'
      toString(): string {
        return this.#text
      }
    }
    const ids: [unknown, string][] = [
      ['7', '7'],
      [7, '7'],
      [7n, '7'],
      [new ObjectId(), '65f0c0ffee'],
      [Buffer.from('00ff', 'hex'), '00ff'],
      [Uint8Array.of(1, 2), '0102'],
    ]
    for (const [id, person] of ids) {
      const { audit, read } = session()
      void audit.rows('letter', { to: { id }, text: 'x' }).text
      expect(read()).toEqual([`letter ${person} text`])
    }
  })

  it('are refused if they do not name their person', () => {
    for (const id of [undefined, null, '', Number.NaN, {}, [], true, () => 'x', Buffer.alloc(0)]) {
      const { audit } = session()
      expect(() => audit.rows('user', [{ id }])).toThrow(/a row of the model `user` does not name its person/)
    }
    expect(() => session().audit.rows('order', { total: 1 })).toThrow(TypeError)
    // A nested row names its person itself, if its model has a field for it.
    const row = session().audit.rows('user', { ...USER, invitedBy: { email: 'x' } })
    expect(() => row.invitedBy).toThrow(/does not name its person/)
  })

  it('are refused if their model is not declared, or if they are not rows', () => {
    const { audit } = session()
    expect(() => audit.rows('usr', USER)).toThrow(
      /the model `usr` is not declared .* which declares `user`, `order`, `letter`/,
    )
    expect(() => session({}).audit.rows('user', USER)).toThrow(UsageError)
    for (const row of ['SECRET', 7, new Map([['SECRET', 1]]), [USER]])
      expect(() => audit.rows('user', [row as object])).toThrow(/a record must be a plain object/)
  })

  it('that were already wrapped are wrapped again for this session', () => {
    const first = session()
    const second = session()
    const view = second.audit.rows('user', first.audit.rows('user', USER))
    expect(view.email).toBe('alice@example.org')
    expect([first.read(), second.read()]).toEqual([[], ['user 7 email']])
  })

  it('are reported to observers before their first read', () => {
    const { audit, sealed } = session()
    const row = audit.rows('user', USER)
    expect(sealed).toMatchObject([{ person: '7', name: 'user', record: USER }])
    void row.orders
    expect(sealed.map(({ name }) => name)).toEqual(['user', 'order', 'order'])
  })
})

describe('a declaration', () => {
  const wrong: [string, unknown, RegExp][] = [
    ['a name that is not known', { user: { persn: 'id' } }, /`models\.user`|models\.user: .*`person`/],
    ['no object', { user: 'id' }, /models\.user/],
    ['a person that is no field', { user: { person: 7 } }, /models\.user\.person/],
    ['a list that is none', { user: { person: 'id', open: 'id' } }, /models\.user\.open/],
    ['a field that is no path', { user: { person: 'id', secret: ['a..b'] } }, /models\.user\.secret/],
    [
      'a model that is not there',
      { user: { person: 'id', nested: { a: 'b' } } },
      /models\.user\.nested.*`user`/,
    ],
    ['a field in two lists', { user: { person: 'id', open: ['id'], secret: ['id'] } }, /`id` once/],
  ]
  it.each(wrong)('is refused with %s', (_what, models, message) => {
    const compile = () => compileModels('models', models as PersonalModels)
    expect(compile).toThrow(ConfigError)
    expect(compile).toThrow(message)
  })
})
