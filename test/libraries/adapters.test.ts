import { createRequire } from 'node:module'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { auditAccess, createPolicySource, memoryAuditSink, memoryStore, UsageError } from 'portcullis'
import { sealKnex, sealMongoose, sealPg, sealPrisma } from 'portcullis/audit'
import { startPostgres, type Postgres } from './postgres.ts'
import { folder } from './setup.ts'

// Uses `require` and own types, because the compiler also runs without these packages.
// oxlint-disable-next-line typescript/no-explicit-any -- packages of any kind
const load: (name: string) => any = createRequire(join(folder, 'package.json'))

const sink = memoryAuditSink({ max: 100_000 })
const audit = auditAccess({
  policies: createPolicySource({ store: memoryStore() }),
  sink,
  models: {
    user: { person: 'id', open: ['id'], secret: ['passwordHash'], nested: { orders: 'order' } },
    order: { open: ['id', 'userId'] },
    member: { person: '_id', open: ['_id'], secret: ['passwordHash'] },
  },
})

/** The recorded reads of this work as `model field`, in alphabetical order. */
async function readBy(work: () => unknown): Promise<string[]> {
  sink.clear()
  await audit.run({ actor: 'test', why: 'test' }, work)
  const read = sink.events().flatMap((event) => {
    if (event.kind === 'field') return [`${event.record} ${event.field}`]
    return event.kind === 'list' ? event.fields.map((field) => `${event.record} ${field}`) : []
  })
  return [...new Set(read)].toSorted()
}

interface User {
  readonly id: number
  readonly email: string
  readonly passwordHash: string
  readonly balance: { toString(): string }
  readonly picture: Uint8Array
  readonly visits: bigint
  readonly born: Date
  readonly settings: { readonly theme: string }
  readonly orders: readonly { readonly id: number; readonly total: { toString(): string } }[]
}

let postgres: Postgres
interface Pool {
  query(text: unknown, values?: unknown[]): Promise<{ rows: User[]; rowCount: number }>
  end(): Promise<void>
}
let pool: Pool

beforeAll(async () => {
  postgres = await startPostgres()
  const { Pool: PoolOfPg } = load('pg') as { Pool: new (options: object) => Pool }
  pool = new PoolOfPg({ connectionString: postgres.url, max: 3 })
  await pool.query(`
    create table users (id serial primary key, email text unique not null, "passwordHash" text not null, balance numeric,
      picture bytea, visits bigint, born timestamp, settings jsonb);
    create table orders (id serial primary key, total numeric not null, "userId" integer not null references users);`)
}, 60_000)

beforeEach(async () => {
  await pool.query(`
    truncate users, orders restart identity;
    insert into users (email, "passwordHash", balance, picture, visits, born, settings) values
      ('alice@example.org', 'HASH', 12.50, '\\x0102', 9007199254740993, '1852-05-04', '{"theme":"dark"}'),
      ('bob@example.org', 'HASH', null, null, null, null, null);
    insert into orders (total, "userId") values (10.00, 1), (20.00, 1);`)
})

afterAll(async () => {
  await pool.end()
  await postgres.stop()
})

describe('sealPg', () => {
  it('seals the rows of a result, whatever their types', async () => {
    const { query } = sealPg(pool, audit, 'user')
    const seen: unknown[] = []
    const read = await readBy(async () => {
      const result = await query('select * from users where id = $1', [1])
      const [row] = result.rows
      seen.push(
        result.rowCount,
        row?.email,
        row?.born.getFullYear(),
        row?.picture.length,
        row?.settings.theme,
      )
      expect(inspect(row)).not.toMatch(/alice|HASH|12\.5/)
      expect(() => row?.passwordHash).toThrow(UsageError)
    })
    expect(seen).toEqual([1, 'alice@example.org', 1852, 2, 'dark'])
    expect(read).toEqual(['user born', 'user email', 'user picture', 'user settings.theme'])
  })

  it('accepts a configuration, and refuses rows as arrays and rows without their person', async () => {
    const { query } = sealPg(pool, audit, 'user')
    const read = await readBy(async () => {
      const { rows } = await query({ text: 'select id, email from users where id = $1', values: [2] })
      expect(rows[0]?.email).toBe('bob@example.org')
      await expect(query({ text: 'select email from users', rowMode: 'array' } as never)).rejects.toThrow(
        /rowMode/,
      )
      await expect(query('select email from users')).rejects.toThrow(/does not name its person/)
    })
    expect(read).toEqual(['user email'])
  })

  it('refuses rows if the reader is unknown', async () => {
    await expect(sealPg(pool, audit, 'user').query('select * from users')).rejects.toThrow(
      /outside a request/,
    )
  })
})

describe('sealKnex', () => {
  // oxlint-disable-next-line typescript/no-explicit-any -- the compiler also runs without Knex
  let knex: any
  beforeAll(() => {
    const make = load('knex') as (options: object) => unknown
    knex = make({ client: 'pg', connection: postgres.url, pool: { min: 0, max: 2 } })
    sealKnex(knex, audit, { users: 'user' })
  })
  afterAll(async () => await knex.destroy())

  const queries: [what: string, query: () => PromiseLike<unknown>, emails: readonly string[]][] = [
    ['a list', () => knex('users').orderBy('id'), ['alice@example.org', 'bob@example.org']],
    ['one row', () => knex('users').where({ id: 1 }).first(), ['alice@example.org']],
    ['a row that is not there', () => knex('users').where({ id: 9 }).first(), []],
    ['an alias', () => knex('users as u').select('u.id', 'u.email').where('u.id', 1), ['alice@example.org']],
    ['another alias', () => knex({ u: 'users' }).where('u.id', 1), ['alice@example.org']],
    ['a schema', () => knex('public.users').where({ id: 1 }), ['alice@example.org']],
    ['from', () => knex.select('*').from('users').where({ id: 1 }), ['alice@example.org']],
    [
      'a transaction',
      () => knex.transaction((trx: typeof knex) => trx('users').where({ id: 1 })),
      ['alice@example.org'],
    ],
    [
      'a returned row',
      () => knex('users').where({ id: 1 }).update({ email: 'new@example.org' }).returning('*'),
      ['new@example.org'],
    ],
    [
      'an inserted row',
      () => knex('users').insert({ email: 'c@example.org', passwordHash: 'x' }).returning(['id', 'email']),
      ['c@example.org'],
    ],
    [
      'a join that says what its rows are',
      () =>
        knex('users')
          .join('orders', 'orders.userId', 'users.id')
          .select('users.*')
          .limit(1)
          .queryContext({ model: 'user' }),
      ['alice@example.org'],
    ],
  ]
  it.each(queries)('seals %s', async (_what, query, emails) => {
    const read = await readBy(async () => {
      const result = (await query()) as User | User[] | undefined
      const rows = [result ?? []].flat()
      expect(JSON.stringify(rows)).not.toContain('HASH')
      expect(rows.map(({ email }) => email)).toEqual(emails)
    })
    if (emails.length === 0) expect(read).toEqual([])
    else expect(read).toContain('user email')
  })

  const others: [what: string, query: () => PromiseLike<unknown>, result: unknown][] = [
    ['a count', () => knex('users').count('* as n'), [{ n: '2' }]],
    ['a number of changed rows', () => knex('users').where({ id: 1 }).update({ email: 'x@example.org' }), 1],
    ['a table that is not declared', () => knex('orders').select('id').orderBy('id'), [{ id: 1 }, { id: 2 }]],
    [
      'a raw query',
      async () => ((await knex.raw('select 1 as one')) as { rows: unknown }).rows,
      [{ one: 1 }],
    ],
  ]
  it.each(others)('passes on %s', async (_what, query, result) => {
    expect(await readBy(async () => expect(await query()).toEqual(result))).toEqual([])
  })

  const refused: [what: string, query: () => PromiseLike<unknown>, message: RegExp][] = [
    ['pluck', () => knex('users').pluck('email'), /pluck\(\) returns values without their rows/],
    [
      'a join that does not say what its rows are',
      () => knex('orders').join('users', 'orders.userId', 'users.id').select('*'),
      /queryContext\(\{ model: 'user' \}\)/,
    ],
    ['the largest value', () => knex('users').max('email'), /does not name its person/],
    ['rows without their person', () => knex('users').select('email'), /does not name its person/],
  ]
  it.each(refused)('refuses %s', async (_what, query, message) => {
    await readBy(async () => expect((async () => await query())()).rejects.toThrow(message))
  })

  it('keeps the previous post-processing of responses', async () => {
    const make = load('knex') as (options: object) => typeof knex
    const other = make({
      client: 'pg',
      connection: postgres.url,
      postProcessResponse: (rows: object[]) => rows.slice(0, 1),
    })
    sealKnex(other, audit, { users: 'user' })
    const read = await readBy(async () => {
      const rows = (await other('users').orderBy('id')) as User[]
      expect(rows.map(({ email }) => email)).toEqual(['alice@example.org'])
    })
    await other.destroy()
    expect(read).toEqual(['user email'])
  })
})

describe('sealPrisma', () => {
  // oxlint-disable-next-line typescript/no-explicit-any -- the compiler also runs without Prisma
  let prisma: any
  beforeAll(() => {
    const { PrismaClient } = load('@prisma/client') as {
      PrismaClient: new (options: object) => typeof prisma
    }
    const { PrismaPg } = load('@prisma/adapter-pg') as { PrismaPg: new (options: object) => unknown }
    const client = new PrismaClient({ adapter: new PrismaPg({ connectionString: postgres.url }) })
    prisma = client.$extends(sealPrisma(audit, { User: 'user' }))
  })
  afterAll(async () => await prisma.$disconnect())

  const where = { id: 1 }
  const operations: [what: string, query: () => PromiseLike<unknown>, emails: readonly string[]][] = [
    [
      'findMany',
      () => prisma.user.findMany({ orderBy: where && { id: 'asc' } }),
      ['alice@example.org', 'bob@example.org'],
    ],
    ['findUnique', () => prisma.user.findUnique({ where }), ['alice@example.org']],
    ['findUnique of nobody', () => prisma.user.findUnique({ where: { id: 9 } }), []],
    ['findUniqueOrThrow', () => prisma.user.findUniqueOrThrow({ where }), ['alice@example.org']],
    ['findFirst', () => prisma.user.findFirst({ where }), ['alice@example.org']],
    ['findFirstOrThrow', () => prisma.user.findFirstOrThrow({ where }), ['alice@example.org']],
    [
      'a selection',
      () => prisma.user.findMany({ where, select: { id: true, email: true } }),
      ['alice@example.org'],
    ],
    [
      'create',
      () => prisma.user.create({ data: { email: 'c@example.org', passwordHash: 'x' } }),
      ['c@example.org'],
    ],
    ['update', () => prisma.user.update({ where, data: { email: 'new@example.org' } }), ['new@example.org']],
    [
      'upsert',
      () => prisma.user.upsert({ where, create: { email: 'x', passwordHash: 'x' }, update: {} }),
      ['alice@example.org'],
    ],
    ['delete', () => prisma.user.delete({ where: { id: 2 } }), ['bob@example.org']],
    [
      'createManyAndReturn',
      () => prisma.user.createManyAndReturn({ data: [{ email: 'd@example.org', passwordHash: 'x' }] }),
      ['d@example.org'],
    ],
    [
      'updateManyAndReturn',
      () => prisma.user.updateManyAndReturn({ where, data: { email: 'e@example.org' } }),
      ['e@example.org'],
    ],
    [
      'a transaction',
      async () => ((await prisma.$transaction([prisma.user.findMany({ where })])) as User[][])[0],
      ['alice@example.org'],
    ],
    [
      'an interactive transaction',
      () => prisma.$transaction((trx: typeof prisma) => trx.user.findMany({ where })),
      ['alice@example.org'],
    ],
  ]
  it.each(operations)('seals the rows of %s', async (_what, query, emails) => {
    const read = await readBy(async () => {
      const result = (await query()) as User | User[] | null
      const rows = [result ?? []].flat()
      expect(JSON.stringify(rows.map((row) => Object.keys(row)))).not.toContain('passwordHash')
      expect(inspect(rows)).not.toContain('@example.org')
      expect(rows.map(({ email }) => email)).toEqual(emails)
    })
    expect(read).toEqual(emails.length === 0 ? [] : ['user email'])
  })

  it('seals Decimal, Bytes, BigInt, DateTime and JSON, and nested rows', async () => {
    const read = await readBy(async () => {
      const user = (await prisma.user.findUnique({ where, include: { orders: true } })) as User
      expect([String(user.balance), [...user.picture], user.visits, user.born.getFullYear()]).toEqual([
        '12.5',
        [1, 2],
        9007199254740993n,
        1852,
      ])
      expect(user.orders.map(({ total }) => String(total))).toEqual(['10', '20'])
    })
    expect(read).toEqual([
      'order total',
      'user balance',
      'user born',
      'user orders',
      'user picture',
      'user visits',
    ])
  })

  const numbers: [what: string, query: () => PromiseLike<unknown>, result: unknown][] = [
    ['count', () => prisma.user.count(), 2],
    ['updateMany', () => prisma.user.updateMany({ data: { balance: 1 } }), { count: 2 }],
    [
      'another model',
      () => prisma.order.findMany({ select: { id: true }, orderBy: { id: 'asc' } }),
      [{ id: 1 }, { id: 2 }],
    ],
  ]
  it.each(numbers)('passes on what %s returns', async (_what, query, result) => {
    expect(await readBy(async () => expect(await query()).toEqual(result))).toEqual([])
  })

  it('refuses a selection without the person', async () => {
    await readBy(async () =>
      expect((async () => await prisma.user.findMany({ select: { email: true } }))()).rejects.toThrow(
        /does not name its person/,
      ),
    )
  })
})

describe('sealMongoose', () => {
  // oxlint-disable-next-line typescript/no-explicit-any -- the compiler also runs without Mongoose
  let Member: any
  const ID = '65f0c0ffee65f0c0ffee65f0'
  beforeAll(() => {
    const { Schema, model } = load('mongoose')
    const schema = new Schema({
      email: String,
      passwordHash: String,
      born: Date,
      tags: [String],
      address: { city: String, geo: { lat: Number } },
      letters: [{ subject: String }],
      extra: Schema.Types.Mixed,
    })
    schema.virtual('greeting').get(function (this: { email: string }) {
      return `Dear ${this.email}`
    })
    schema.plugin(sealMongoose(audit, 'member'))
    Member = model('Member', schema)
  })

  const stored = () => ({
    _id: ID,
    email: 'alice@example.org',
    passwordHash: 'HASH',
    born: new Date(0),
    tags: ['croquet'],
    address: { city: 'Oxford', geo: { lat: 51 } },
    letters: [{ _id: ID, subject: 'Dear Alice' }],
    extra: { any: 'thing' },
  })
  const EVERY = ['address.city', 'address.geo.lat', 'born', 'email', 'extra.any', 'letters', 'tags']

  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  const ways: [what: string, read: (member: any) => unknown, fields: readonly string[]][] = [
    ['nothing', (member) => member.id, []],
    ['a property', (member) => member.email, ['email']],
    ['get', (member) => member.get('email'), ['email']],
    ['a nested property', (member) => member.address.city, ['address.city']],
    ['get of a path', (member) => member.get('address.geo.lat'), ['address.geo.lat']],
    ['a virtual', (member) => member.greeting, ['email']],
    ['a list', (member) => member.tags[0], ['tags']],
    ['documents inside', (member) => member.letters[0].subject, ['letters']],
    ['a mixed field', (member) => member.extra.any, ['extra.any']],
    ['toObject', (member) => member.toObject(), EVERY],
    ['toJSON', (member) => JSON.stringify(member), EVERY],
    ['printing', (member) => inspect(member, { depth: 5 }), EVERY],
    // oxlint-disable-next-line no-underscore-dangle -- what Mongoose keeps in a document
    ['spread of its inside', (member) => ({ ...member._doc }), ['born', 'email', 'letters', 'tags']],
  ]
  it.each(ways)('records reads by %s', async (_what, read, fields) => {
    const results: unknown[] = []
    const reported = await readBy(() => results.push(read(Member.hydrate(stored()))))
    const names = reported.map((each) => each.replace('member ', ''))
    for (const field of fields) expect(names).toContain(field)
    // To reach a nested value, Mongoose may read others, which is recorded too. Values without a record must not
    // appear.
    const shown = typeof results[0] === 'string' ? results[0] : inspect(results[0], { depth: 5 })
    expect(shown).not.toContain('HASH')
    for (const [field, text] of [
      ['email', 'alice@'],
      ['address.city', 'Oxford'],
      ['tags', 'croquet'],
      ['letters', 'Dear Alice'],
    ] as const)
      if (!names.includes(field)) expect(shown).not.toContain(text)
    if (fields.length === 0) expect(names).toEqual([])
  })

  it('refuses a secret', async () => {
    await readBy(() => expect(() => Member.hydrate(stored()).passwordHash).toThrow(UsageError))
  })

  it('leaves documents writable, with the changes that Mongoose tracks', async () => {
    await readBy(() => {
      const member = Member.hydrate(stored())
      member.email = 'new@example.org'
      member.address.city = 'London'
      member.tags.push('chess')
      expect([member.email, member.address.city, [...member.tags]]).toEqual([
        'new@example.org',
        'London',
        ['croquet', 'chess'],
      ])
      expect(member.modifiedPaths()).toEqual(expect.arrayContaining(['email', 'address.city', 'tags']))
      expect(member.$__delta()[1]).toMatchObject({
        $set: { email: 'new@example.org', 'address.city': 'London' },
        $push: { tags: { $each: ['chess'] } },
      })
      expect(member.validateSync()).toBeUndefined()
    })
  })

  it('does not seal documents that the application creates', async () => {
    expect(await readBy(() => new Member({ email: 'x' }).email as string)).toEqual([])
  })
})
