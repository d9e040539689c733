import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from '@jest/globals'
import { personalView, type FieldGetters } from '../../../src/audit/personal-view.ts'
import { person, VALUES, ways, type View } from './ways-to-read.ts'

function reading(): { view: View; reads: string[] } {
  const reads: string[] = []
  return { view: personalView(person(), (field) => reads.push(field)), reads }
}

describe('personalView', () => {
  it('can be read in at least a hundred ways, each of which is in the catalogue once', () => {
    expect(ways.length).toBeGreaterThanOrEqual(100)
    expect(new Set(ways.map(([how]) => how)).size).toBe(ways.length)
  })

  for (const [how, read, fields] of ways) {
    it(`reports fields read by ${how}: ${fields.join(', ') || 'nothing'}`, async () => {
      const { view, reads } = reading()
      const result = await read(view)
      expect([...new Set(reads)].toSorted()).toEqual([...fields].toSorted())
      // Values without a report must not be in the result. A test printer would call getters, but `inspect` does not.
      const shown = typeof result === 'string' ? result : inspect(result, { depth: 9, showHidden: true })
      for (const [field, value] of Object.entries(VALUES)) {
        if (!fields.includes(field)) expect(shown).not.toContain(value)
      }
    })
  }

  it('reports every read, also repeated ones', () => {
    const { view, reads } = reading()
    expect([view.email, view.email, view.address.city]).toEqual(['email-value', 'email-value', 'city-value'])
    expect(reads).toEqual(['email', 'email', 'address.city'])
  })

  it('reports a read before it returns the value', () => {
    const view = personalView({ email: 'x' }, () => {
      throw new Error('not now')
    })
    expect(() => view.email).toThrow('not now')
  })

  it('can be awaited, and so can a record with a member `then`', async () => {
    const { view, reads } = reading()
    expect(await (view as unknown as Promise<unknown>)).toBe(view)
    expect(reads).toEqual([])
    // oxlint-disable-next-line unicorn/no-thenable -- the subject
    const odd = personalView({ then: 'a text' }, (field) => reads.push(field))
    expect(await (odd as unknown as Promise<unknown>)).toBe(odd)
    expect(reads).toEqual(['then'])
  })

  it('calls nothing that the record contains', () => {
    const reads: string[] = []
    const record = JSON.parse(
      '{"toJSON":"a","then":"b","constructor":"c","toString":"d","valueOf":"e","hasOwnProperty":"f"}',
    ) as object
    const view = personalView(record, (field) => reads.push(field))
    expect(JSON.parse(JSON.stringify(view))).toEqual(record)
    expect(new Set(reads)).toEqual(new Set(Object.keys(record)))
  })

  it('omits `__proto__` and symbols, and sets no prototype', () => {
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

  it('reports an empty nested record when it is accessed, because that reveals everything', () => {
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
    expect(() => (open['tags'] = ['x'])).toThrow(TypeError)
    expect(() => (open['tags'] = undefined)).toThrow(TypeError)
    expect(() => ((Object.create(open) as typeof open)['email'] = 'x')).toThrow(/`email` cannot be written/)
    const { tags } = view
    // Prisma assigns a list back to where it was found.
    expect(() => (open['tags'] = tags)).not.toThrow()
    expect(() => (open['tags'] = [...tags])).toThrow(TypeError)
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
    it(`returns ${what} as a copy, as one field`, () => {
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
  it.each(binaries)('gives %s its own memory, without adjacent bytes', (_what, value, kind) => {
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

  it('gives an ArrayBuffer and a SharedArrayBuffer their own memory', () => {
    for (const value of [around, shared]) {
      const copy = personalView({ value }, () => undefined).value as unknown as ArrayBuffer
      expect(Object.prototype.toString.call(copy)).toBe(Object.prototype.toString.call(value))
      expect(Buffer.from(copy)).toEqual(memory)
      new Uint8Array(copy).fill(0)
      expect(Buffer.from(value)).toEqual(memory)
    }
  })

  it('shows transferred bytes as empty', () => {
    const bytes = Uint8Array.of(1, 2)
    structuredClone(bytes, { transfer: [bytes.buffer] })
    expect(personalView({ bytes }, () => undefined).bytes.length).toBe(0)
  })

  it('returns primitives unchanged', () => {
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

  class Document_ {
    $data = { email: 'SECRET' }
    toObject(): object {
      return this.$data
    }
  }
  const cyclic: Record<string, unknown> = { a: { b: {} } }
  ;(cyclic['a'] as { b: Record<string, unknown> }).b['c'] = cyclic
  const refused: [string, unknown][] = [
    ['an object that inherits from another', Object.create(person()) as object],
    ['one inside of it', Object.create(Object.create(person()) as object) as object],
    ['a document that keeps its fields elsewhere', new Document_()],
    ['a function', () => undefined],
    ['a function inside', { toJSON: () => 'x' }],
    ['a list', [person()]],
    ['a Map', new Map()],
    ['a Date', new Date()],
    ['an error', new Error('x')],
    ['a promise', Promise.resolve()],
    ['an expression', /x/],
    ['a boxed text', Object('x')],
    ['an iterator', [1].values()],
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

  it('shows an instance of a class with its methods, which read through the view', () => {
    class Person {
      first = 'Alice'
      last = 'Liddell'
      declare kind: string
      #hidden = 'HIDDEN'
      get full(): string {
        return `${this.first} ${this.last}`
      }
      greet(): string {
        return `Dear ${this.full}`
      }
      reveal(): string {
        return this.#hidden
      }
      toJSON(): object {
        return { name: this.last }
      }
    }
    class Member extends Person {
      number = 5
    }
    const reads: string[] = []
    const view = personalView(new Member(), (field) => reads.push(field))
    expect(view).toBeInstanceOf(Person)
    expect(view.greet()).toBe('Dear Alice Liddell')
    expect(reads.splice(0)).toEqual(['first', 'last'])
    expect(JSON.stringify(view)).toBe('{"name":"Liddell"}')
    expect(reads.splice(0)).toEqual(['last'])
    expect(() => view.reveal()).toThrow(TypeError)
    expect({ ...view }).toEqual({ first: 'Alice', last: 'Liddell', number: 5 })
    expect(reads).toEqual(['first', 'last', 'number'])
  })

  it('reports members on the prototype of a class, and hides none of them', () => {
    function Row(this: object): void {}
    Row.prototype.email = 'x'
    Row.prototype.shout = function (this: { email: string }) {
      return this.email.toUpperCase()
    }
    const reads: string[] = []
    const view = personalView(
      new (Row as unknown as new () => { email: string; shout(): string })(),
      (field) => reads.push(field),
    )
    expect([view.email, view.shout()]).toEqual(['x', 'X'])
    expect(reads).toEqual(['email', 'email'])
  })

  it('returns an instance of a class as one field, unchanged', () => {
    class Decimal {
      digits = [1, 2]
      toString = (): string => '12'
    }
    const values = [
      new Decimal(),
      new Error('x'),
      Promise.resolve(1),
      new URL('https://example.org'),
      /x/,
      Object('x'),
    ]
    for (const value of values) {
      const reads: string[] = []
      const view = personalView({ value, list: [value], map: new Map([['a', value]]) }, (field) =>
        reads.push(field),
      )
      expect([view.value, view.list[0], view.map.get('a')]).toEqual([value, value, value])
      expect(view.value).toBe(value)
      expect(reads.splice(0)).toEqual(['value', 'list', 'map', 'value'])
    }
  })

  it('accepts a frozen row, and one whose fields are accessors', () => {
    const reads: string[] = []
    const frozen = Object.freeze({ email: 'x', address: Object.freeze({ city: 'y' }) })
    expect(personalView(frozen, (field) => reads.push(field)).address.city).toBe('y')
    const computed = {
      get full() {
        return 'Alice Liddell'
      },
    }
    expect(personalView(computed, (field) => reads.push(field)).full).toBe('Alice Liddell')
    expect(reads).toEqual(['address.city', 'full'])
  })

  it('does not show a method instead of a deleted field', () => {
    const record: { toString?: unknown } = { toString: 'x' }
    const view = personalView(record, () => undefined)
    delete record.toString
    expect(view.toString).toBeUndefined()
  })

  const said: [what: string, record: object, said: RegExp][] = [
    ['a document', new Document_(), /a record must be .* got an instance of `Document_`.*toObject\(\)/],
    [
      'a document whose class a build has renamed',
      new (class tC extends Document_ {})(),
      /got an instance of a class\./,
    ],
    ['a method', { name: () => 'SECRET' }, /field `name` .*a function/],
    ['a method inside', { user: { name: () => 'SECRET' } }, /field `user\.name` .*a function/],
    ['a name that is personal', { 'SECRET@example.org': () => 'SECRET' }, /field `\*` .*a function/],
    ['a list of rows', [{ email: 'SECRET' }], /got an array/],
  ]
  it.each(said)(
    'says which part of %s cannot be shown and how to fix it, without a value',
    (_what, record, text) => {
      const read = (): unknown => Object.values(personalView(record, () => undefined))
      expect(read).toThrow(TypeError)
      expect(read).toThrow(text)
      expect(read).not.toThrow('SECRET')
    },
  )

  const hidden: [string, unknown][] = [
    ['a function in a list', [() => undefined]],
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

  it('shares getters between views, up to a limit', () => {
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
