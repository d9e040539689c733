/* oxlint-disable unicorn/no-thenable, unicorn/no-useless-spread, no-underscore-dangle, typescript/no-useless-default-assignment, typescript/no-unnecessary-template-expression -- odd ways to read are the subject */
import { format, inspect, isDeepStrictEqual, styleText } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MessageChannel } from 'node:worker_threads'
import { describe, expect, it } from '@jest/globals'
import { personalView, type DeepReadonly, type FieldGetters } from '../../../src/audit/personal-view.ts'

const person = () => ({
  id: 'id-value',
  email: 'email-value',
  address: { city: 'city-value', geo: { lat: 'lat-value' } },
  tags: ['tag-value'],
  born: new Date(0),
})
type View = DeepReadonly<ReturnType<typeof person>>

/** All fields of the record, each with the text by which its value is known. */
const VALUES: Record<string, string> = {
  id: 'id-value',
  email: 'email-value',
  'address.city': 'city-value',
  'address.geo.lat': 'lat-value',
  tags: 'tag-value',
  born: '1970-01-01',
}
const EVERY = Object.keys(VALUES)
const TOP = ['id', 'email', 'tags', 'born']

function reading(): { view: View; reads: string[] } {
  const reads: string[] = []
  return { view: personalView(person(), (field) => reads.push(field)), reads }
}

function received(view: unknown): unknown {
  const { port1, port2 } = new MessageChannel()
  port1.postMessage(view)
  port1.close()
  port2.close()
  return undefined
}

const forms: [string, (view: View) => unknown, readonly string[]][] = [
  ['a property', (view) => view.email, ['email']],
  ['a computed property', (view) => view[['em', 'ail'].join('') as 'email'], ['email']],
  ['optional chaining', (view) => view?.email, ['email']],
  ['destructuring', ({ email }) => email, ['email']],
  ['nested destructuring', ({ address: { city } }) => city, ['address.city']],
  ['destructuring with a default', ({ email = 'x' }) => email, ['email']],
  ['rest', ({ id: _id, ...rest }) => Object.values(rest), TOP],
  ['spread', (view) => ({ ...view }), TOP],
  ['spread into arguments of a function', (view) => ((copy: View) => copy.id)({ ...view }), TOP],
  ['Object.assign', (view) => Object.assign({}, view), TOP],
  ['Object.values', (view) => Object.values(view), TOP],
  ['Object.entries', (view) => Object.entries(view), TOP],
  ['Object.fromEntries', (view) => Object.fromEntries(Object.entries(view)), TOP],
  ['JSON.stringify', (view) => JSON.stringify(view), EVERY],
  ['JSON.stringify with a list of names', (view) => JSON.stringify(view, ['email']), ['email']],
  ['JSON.stringify inside of another object', (view) => JSON.stringify({ list: [view] }), EVERY],
  ['structuredClone', (view) => structuredClone(view), EVERY],
  ['v8.serialize', (view) => deserialize(serialize(view)) as unknown, EVERY],
  ['postMessage', received, EVERY],
  ['format with %j', (view) => format('%j', view), EVERY],
  ['format with %o', (view) => format('%o', view), []],
  ['format with %s', (view) => format('%s', view), []],
  ['console.log', (view) => inspect(view), []],
  ['inspect of everything', (view) => inspect(view, { showHidden: true, showProxy: true, depth: 9 }), []],
  ['inspect with getters', (view) => inspect(view, { getters: true, depth: 9 }), EVERY],
  ['the cause of an error', (view) => inspect(new Error('x', { cause: view }), { depth: 9 }), []],
  ['a member of an error', (view) => inspect(Object.assign(new Error('x'), { view }), { depth: 9 }), []],
  ['a descriptor', (view) => Object.getOwnPropertyDescriptor(view, 'email')?.value as unknown, []],
  [
    'the getter of a descriptor',
    (view) => Object.getOwnPropertyDescriptor(view, 'email')?.get?.call(view) as unknown,
    ['email'],
  ],
  [
    'a getter without a receiver',
    (view) => Object.getOwnPropertyDescriptor(view, 'email')?.get?.call(undefined) as unknown,
    [],
  ],
  [
    'a getter of another receiver',
    (view) => Object.getOwnPropertyDescriptor(view, 'email')?.get?.call({}) as unknown,
    [],
  ],
  ['all descriptors', (view) => Object.getOwnPropertyDescriptors(view), []],
  [
    'an object made of all descriptors',
    (view) => ({ ...Object.defineProperties({}, Object.getOwnPropertyDescriptors(view)) }),
    [],
  ],
  [
    '__lookupGetter__',
    (view) =>
      (view as unknown as { __lookupGetter__(name: string): () => unknown })
        .__lookupGetter__('email')
        .call(view),
    ['email'],
  ],
  ['Reflect.get', (view) => Reflect.get(view, 'email'), ['email']],
  ['Reflect.get with another receiver', (view) => Reflect.get(view, 'email', {}), []],
  ['Reflect.ownKeys', (view) => Reflect.ownKeys(view), []],
  [
    'for…in with reads',
    (view) => {
      const all: unknown[] = []
      for (const name in view) all.push(view[name as 'email'])
      return all
    },
    TOP,
  ],
  ['a child', (view) => (Object.create(view) as View).email, ['email']],
  ['a grandchild', (view) => (Object.create(Object.create(view) as View) as View).email, ['email']],
  ['a child that is spread', (view) => ({ ...(Object.create(view) as View) }), []],
  ['a child by setPrototypeOf', (view) => (Object.setPrototypeOf({}, view) as View).email, ['email']],
  ['a Proxy around it', (view) => new Proxy(view, {}).email, []],
  ['a template', (view) => `${view.email}`, ['email']],
  ['a template of the whole', (view) => String(view), []],
  ['concatenation of the whole', (view) => `${view as unknown as string}`, []],
  [
    'with super',
    (view) =>
      ({
        __proto__: view,
        read() {
          return super['email' as never]
        },
      }).read(),
    ['email'],
  ],
  ['deep equality', (view) => isDeepStrictEqual(view, person()) && 'equal', EVERY],
  ['Object.keys', (view) => Object.keys(view), []],
  ['in', (view) => 'email' in view, []],
  ['hasOwn', (view) => Object.hasOwn(view, 'email'), []],
  ['propertyIsEnumerable', (view) => Object.prototype.propertyIsEnumerable.call(view, 'email'), []],
  ['names of a nested record', (view) => Object.keys(view.address), []],
  ['a nested record alone', (view) => view.address, []],
  ['a nested record in a nested record', (view) => view.address.geo.lat, ['address.geo.lat']],
  ['a nested record that is spread', (view) => ({ ...view.address }), ['address.city']],
  ['a list', (view) => view.tags[0], ['tags']],
  ['a list that is destructured', ({ tags: [first] }) => first, ['tags']],
  ['the length of a list', (view) => view.tags.length, ['tags']],
  ['a date', (view) => view.born.toISOString(), ['born']],
  ['a Map by name', (view) => new Map(Object.entries(view)).get('email'), TOP],
  ['valueOf', (view) => view.valueOf(), []],
  ['a WeakMap key', (view) => new WeakMap([[view, 1]]).has(view), []],
  ['code of another realm', (view) => runInNewContext('JSON.stringify(view)', { view }) as unknown, EVERY],
  ['styled text', (view) => styleText('red', view.email), ['email']],
]

describe('personalView', () => {
  for (const [how, read, fields] of forms) {
    it(`reports what is read by ${how}: ${fields.join(', ') || 'nothing'}`, () => {
      const { view, reads } = reading()
      const result = read(view)
      expect([...new Set(reads)].toSorted()).toEqual([...fields].toSorted())
      // What was not reported is not in the result either. The inspector of a test would run getters; ours does not.
      const shown = typeof result === 'string' ? result : inspect(result, { depth: 9, showHidden: true })
      for (const [field, value] of Object.entries(VALUES)) {
        if (!fields.includes(field)) expect(shown).not.toContain(value)
      }
    })
  }

  it('reports every read, again and again', () => {
    const { view, reads } = reading()
    expect([view.email, view.email, view.address.city]).toEqual(['email-value', 'email-value', 'city-value'])
    expect(reads).toEqual(['email', 'email', 'address.city'])
  })

  it('reports a read before it hands the value out', () => {
    const view = personalView({ email: 'x' }, () => {
      throw new Error('not now')
    })
    expect(() => view.email).toThrow('not now')
  })

  it('can be awaited, and so can a record with a member `then`', async () => {
    const { view, reads } = reading()
    expect(await (view as unknown as Promise<unknown>)).toBe(view)
    expect(reads).toEqual([])
    const odd = personalView({ then: 'a text' }, (field) => reads.push(field))
    expect(await (odd as unknown as Promise<unknown>)).toBe(odd)
    expect(reads).toEqual(['then'])
  })

  it('calls nothing that a record is named after', () => {
    const reads: string[] = []
    const record = JSON.parse(
      '{"toJSON":"a","then":"b","constructor":"c","toString":"d","valueOf":"e","hasOwnProperty":"f"}',
    ) as object
    const view = personalView(record, (field) => reads.push(field))
    expect(JSON.parse(JSON.stringify(view))).toEqual(record)
    expect(new Set(reads)).toEqual(new Set(Object.keys(record)))
  })

  it('leaves out `__proto__` and symbols, and puts nothing in place of a prototype', () => {
    const record = JSON.parse('{"__proto__":{"admin":"yes"},"email":"x"}') as object
    const view = personalView({ ...record, [Symbol('s')]: 'secret' }, () => undefined)
    expect(Reflect.ownKeys(personalView(record, () => undefined))).toEqual(['email'])
    expect(Reflect.ownKeys(view)).toEqual(['email'])
    expect((Object.assign({}, view) as { admin?: string }).admin).toBeUndefined()
  })

  it('does not report a name that may be personal itself', () => {
    const reads: string[] = []
    const record = {
      byAddress: { 'alice@example.org': 1, '7': { name: 'x' } },
      prénom: 'y',
      'first-name': 'z',
    }
    JSON.stringify(personalView(record, (field) => reads.push(field)))
    expect(reads).toEqual(['byAddress.*.name', 'byAddress.*', 'prénom', 'first-name'])
  })

  it('reports an empty nested record when it is reached for, since that tells all', () => {
    const reads: string[] = []
    const view = personalView({ address: {} }, (field) => reads.push(field))
    expect(view.address).toEqual({})
    expect(reads).toEqual(['address'])
  })

  it('shows the record at the time of the read', () => {
    const record: { email: string; address: { city: string } } = person()
    const view = personalView(record, () => undefined)
    const before = view.address
    expect(view.address).toBe(before)
    record.email = 'new'
    record.address = { city: 'other' }
    expect([view.email, view.address.city, before.city]).toEqual(['new', 'other', 'city-value'])
  })

  it('cannot be changed', () => {
    const { view } = reading()
    const open = view as Record<string, unknown>
    expect(() => (open['email'] = 'x')).toThrow(TypeError)
    expect(() => (open['other'] = 'x')).toThrow(TypeError)
    expect(() => delete open['email']).toThrow(TypeError)
    expect(() => Object.defineProperty(open, 'email', { value: 'x' })).toThrow(TypeError)
    expect(() => Object.setPrototypeOf(open, {})).toThrow(TypeError)
    expect(() => ((view.address as Record<string, unknown>)['city'] = 'x')).toThrow(TypeError)
  })

  const map = new Map([['key', { inner: ['x'] }]])
  const set = new Set([new Date(1)])
  const values: [string, unknown, (value: never) => unknown][] = [
    ['a list', [{ a: [1] }, [2]], (value: [{ a: number[] }]) => value[0].a.push(9)],
    ['a Date', new Date(5), (value: Date) => value.setTime(0)],
    ['a Map', map, (value: typeof map) => value.get('key')?.inner.push('y')],
    ['a Set', set, (value: typeof set) => [...value][0]?.setTime(0)],
    ['a Buffer', Buffer.from('abc'), (value: Buffer) => value.fill(0)],
    ['bytes', Uint8Array.of(1, 2), (value: Uint8Array) => value.fill(0)],
    ['numbers', Float64Array.of(1, 2), (value: Float64Array) => value.fill(0)],
    ['an ArrayBuffer', Uint8Array.of(1, 2).buffer, (value: ArrayBuffer) => new Uint8Array(value).fill(0)],
  ]
  for (const [what, value, change] of values) {
    it(`hands out ${what} as a copy, as one field`, () => {
      const reads: string[] = []
      const view = personalView({ value }, (field) => reads.push(field))
      const before = inspect(value, { depth: 9 })
      const copy = view.value
      expect(reads).toEqual(['value'])
      expect(inspect(copy, { depth: 9 })).toBe(before)
      change(copy as never)
      expect(inspect(copy, { depth: 9 })).not.toBe(before)
      expect(inspect(value, { depth: 9 })).toBe(before)
      expect(reads).toEqual(['value'])
    })
  }

  const memory = Buffer.from('somebody else | MINE | somebody else'.padEnd(64, '.'))
  const around = memory.buffer.slice(memory.byteOffset, memory.byteOffset + 64)
  const shared = new SharedArrayBuffer(64)
  new Uint8Array(shared).set(memory)
  const START = 16
  interface ViewKind {
    new (buffer: ArrayBufferLike, offset: number, count: number): ArrayBufferView
    readonly BYTES_PER_ELEMENT?: number
  }
  const kinds: [string, ViewKind][] = [
    ['Int8Array', Int8Array],
    ['Uint8Array', Uint8Array],
    ['Uint8ClampedArray', Uint8ClampedArray],
    ['Int16Array', Int16Array],
    ['Uint16Array', Uint16Array],
    ['Int32Array', Int32Array],
    ['Uint32Array', Uint32Array],
    ['Float32Array', Float32Array],
    ['Float64Array', Float64Array],
    ['BigInt64Array', BigInt64Array],
    ['BigUint64Array', BigUint64Array],
    ['DataView', DataView],
  ]
  const binaries: readonly (readonly [what: string, value: ArrayBufferView, kind: string])[] = [
    ['a Buffer of the pool', Buffer.from('MINE'), 'Buffer'],
    ['a part of a Buffer', memory.subarray(START, START + 8), 'Buffer'],
    ['a Buffer over shared memory', Buffer.from(shared, START, 8), 'Buffer'],
    ['an empty Buffer', memory.subarray(3, 3), 'Buffer'],
    ...kinds.flatMap(([name, Kind]) => {
      const count = 8 / (Kind.BYTES_PER_ELEMENT ?? 1)
      return [
        [`a part of memory as ${name}`, new Kind(around, START, count), name],
        [`a part of shared memory as ${name}`, new Kind(shared, START, count), name],
        [`an empty ${name}`, new Kind(around, START, 0), name],
        [`a ${name} of another realm`, new (runInNewContext(name) as ViewKind)(around, START, count), name],
        [`a subclass of ${name}`, new (class Mine extends Kind {})(around, START, count), name],
      ] as [string, ArrayBufferView, string][]
    }),
  ]
  it.each(binaries)('gives %s memory of its own, and nothing that lies beside it', (_what, value, kind) => {
    for (const record of [{ value }, { value: [{ deep: value }] }, { value: new Map([['deep', value]]) }]) {
      const handed = personalView(record, () => undefined).value as unknown
      const inner = handed instanceof Map ? (handed.get('deep') as unknown) : handed
      const copy = (Array.isArray(inner) ? (inner[0] as { deep: unknown }).deep : inner) as ArrayBufferView
      expect(copy.constructor.name).toBe(kind)
      expect([copy.byteOffset, copy.buffer.byteLength]).toEqual([0, value.byteLength])
      expect(Buffer.from(copy.buffer)).toEqual(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
      expect(copy.buffer).not.toBe(value.buffer)
    }
  })

  it('gives an ArrayBuffer and a SharedArrayBuffer memory of their own', () => {
    for (const value of [around, shared]) {
      const copy = personalView({ value }, () => undefined).value as unknown as ArrayBuffer
      expect(Object.prototype.toString.call(copy)).toBe(Object.prototype.toString.call(value))
      expect(Buffer.from(copy)).toEqual(memory)
      new Uint8Array(copy).fill(0)
      expect(Buffer.from(value)).toEqual(memory)
    }
  })

  it('shows bytes that were transferred away as none', () => {
    const bytes = Uint8Array.of(1, 2)
    structuredClone(bytes, { transfer: [bytes.buffer] })
    expect(personalView({ bytes }, () => undefined).bytes.length).toBe(0)
  })

  it('lets primitives through as they are', () => {
    const record = { a: 1, b: 1n, c: null, d: undefined, e: true, f: Symbol.iterator, g: '' }
    expect({ ...personalView(record, () => undefined) }).toEqual(record)
  })

  it('shows a record without a prototype, one of another realm, and another view', () => {
    const bare = Object.assign(Object.create(null) as { a: string }, { a: 'x' })
    expect(personalView(bare, () => undefined).a).toBe('x')
    const foreign = runInNewContext('({ a: "x", b: { c: "y" } })') as { b: { c: string } }
    expect(personalView(foreign, () => undefined).b.c).toBe('y')
    const { view, reads } = reading()
    const outer: string[] = []
    const second = personalView(view, (field) => outer.push(field))
    expect([outer, reads]).toEqual([[], []])
    expect([second.email, second.address.city]).toEqual(['email-value', 'city-value'])
    expect([outer, reads]).toEqual([
      ['email', 'address.city'],
      ['email', 'address.city'],
    ])
  })

  class User {
    email = 'x'
  }
  const cyclic: Record<string, unknown> = { a: { b: {} } }
  ;(cyclic['a'] as { b: Record<string, unknown> }).b['c'] = cyclic
  const refused: [string, unknown][] = [
    ['an instance of a class', new User()],
    ['an instance of a class inside', { user: new User() }],
    ['one deeper', { a: { user: new User() } }],
    ['a function', () => undefined],
    ['a function inside', { toJSON: () => 'x' }],
    ['a list', [person()]],
    ['a Map', new Map()],
    ['a Date', new Date()],
    ['an error inside', { error: new Error('x') }],
    ['a promise inside', { later: Promise.resolve() }],
    ['a URL inside', { url: new URL('https://example.org') }],
    ['what contains itself', cyclic],
    ['a text', 'x'],
    ['nothing', null],
  ]
  for (const [what, record] of refused) {
    it(`refuses ${what}, and says what to pass`, () => {
      const attempt = () => personalView(record as object, () => undefined)
      expect(attempt).toThrow(TypeError)
      expect(attempt).toThrow('toObject()')
    })
  }

  // What drivers hand out: rows and values that are instances of their classes.
  class RowDataPacket {
    email = 'SECRET'
  }
  class ObjectId {
    bytes = Buffer.from('SECRET')
    toString = () => 'SECRET'
  }
  class Decimal {
    digits = ['SECRET']
  }
  class Model {
    email = 'SECRET'
    get constructorName(): string {
      return 'SECRET'
    }
  }
  const drivers: [what: string, record: object, said: RegExp][] = [
    [
      'a row of mysql',
      new RowDataPacket(),
      /plain object, got an instance of `RowDataPacket`.*\{ \.\.\.row \}/,
    ],
    ['a document of mongoose', new Model(), /plain object, got an instance of `Model`.*toObject\(\)/],
    [
      'a document of MongoDB',
      { _id: new ObjectId(), email: 'SECRET' },
      /field `_id` .*an instance of `ObjectId`.*String\(value\)/,
    ],
    ['a nested one', { user: { _id: new ObjectId() } }, /field `user\._id` .*an instance of `ObjectId`/],
    ['a row of Prisma', { balance: new Decimal() }, /field `balance` .*an instance of `Decimal`/],
    ['a list of them', { orders: [{ total: new Decimal() }] }, /field `orders` .*an instance of `Decimal`/],
    [
      'a Map of them',
      { orders: new Map([['SECRET', new Decimal()]]) },
      /field `orders` .*an instance of `Decimal`/,
    ],
    ['a name that is personal', { 'SECRET@example.org': new Decimal() }, /field `\*` /],
    ['a method', { name: () => 'SECRET' }, /field `name` .*a function/],
    ['a list of rows', [new RowDataPacket()], /plain object, got an array/],
    ['a class without a name', new (class {})(), /plain object, got an instance of a class/],
  ]
  it.each(drivers)(
    'says which field of %s cannot be shown and how to mend it, without a value',
    (_what, record, said) => {
      const read = (): unknown => Object.values(personalView(record, () => undefined))
      expect(read).toThrow(TypeError)
      expect(read).toThrow(said)
      expect(read).not.toThrow('SECRET')
    },
  )

  const hidden: [string, unknown][] = [
    ['an instance of a class', [new User()]],
    ['a function', new Map([['f', () => undefined]])],
  ]
  for (const [what, value] of hidden) {
    it(`refuses ${what} in a list or a Map when it is read`, () => {
      const reads: string[] = []
      const view = personalView({ value }, (field) => reads.push(field))
      expect(() => view.value).toThrow(TypeError)
      expect(reads).toEqual([])
    })
  }

  it('copies a list that contains itself', () => {
    const list: unknown[] = ['x']
    list.push(list)
    const copy = personalView({ list }, () => undefined).list
    expect(copy[1]).toBe(copy)
    expect(copy).not.toBe(list)
  })

  it('shares getters between views, and keeps a bound of them', () => {
    const getters: FieldGetters = new Map()
    const reads: string[] = []
    const one = personalView({ email: 'one' }, (field) => reads.push(`1 ${field}`), getters)
    const two = personalView({ email: 'two', name: 'x' }, (field) => reads.push(`2 ${field}`), getters)
    expect([one.email, two.email]).toEqual(['one', 'two'])
    expect(reads).toEqual(['1 email', '2 email'])
    expect(Object.getOwnPropertyDescriptor(one, 'email')?.get).toBe(
      Object.getOwnPropertyDescriptor(two, 'email')?.get,
    )
    const many = Object.fromEntries(Array.from({ length: 1_500 }, (_, index) => [`field${index}`, index]))
    expect({ ...personalView(many, () => undefined, getters) }).toEqual(many)
    expect(getters.size).toBe(1_000)
  })

  it('keeps the type of the record, and forbids writing', () => {
    const { view } = reading()
    const city: string = view.address.city
    const born: Date = view.born
    const tags: readonly string[] = view.tags
    expect(() => {
      // @ts-expect-error -- a view is read-only
      view.address.city = 'x'
    }).toThrow(TypeError)
    expect([city, born.getTime(), tags]).toEqual(['city-value', 0, ['tag-value']])
  })
})
