/* oxlint-disable unicorn/no-thenable, unicorn/no-useless-spread, no-underscore-dangle, typescript/no-useless-default-assignment, typescript/no-unnecessary-template-expression, typescript/no-implied-eval, typescript/no-unsafe-call -- odd ways to read are the subject */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { text as textOf } from 'node:stream/consumers'
import { format, inspect, isDeepStrictEqual, styleText } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MessageChannel, Worker } from 'node:worker_threads'
import express from 'express'
import type { DeepReadonly } from '../../../src/audit/personal-view.ts'

/** A record of personal data. */
export const person = () => ({
  id: 'id-value',
  email: 'email-value',
  address: { city: 'city-value', geo: { lat: 'lat-value' } },
  tags: ['tag-value'],
  born: new Date(0),
})
export type View = DeepReadonly<ReturnType<typeof person>>

/** All fields of the record, each with a text that identifies its value. */
export const VALUES: Record<string, string> = {
  id: 'id-value',
  email: 'email-value',
  'address.city': 'city-value',
  'address.geo.lat': 'lat-value',
  tags: 'tag-value',
  born: '1970-01-01',
}
export const EVERY = Object.keys(VALUES)
export const TOP = ['id', 'email', 'tags', 'born']

/** A way to read, its function, and the reported fields. If there are none, it yields no values. */
export type Way = readonly [how: string, read: (view: View) => unknown, fields: readonly string[]]

function received(view: unknown): unknown {
  const { port1, port2 } = new MessageChannel()
  port1.postMessage(view)
  port1.close()
  port2.close()
  return undefined
}

export const ways: readonly Way[] = [
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
  ['a label of a console table', (view) => inspect([view], { depth: 9, compact: false }), []],
  ['a private copy by a loop of keys', (view) => copyByKeys(view), TOP],
  ['a name that is a symbol', (view) => (view as never)[Symbol.toPrimitive], []],
  ['with', (view) => new Function('view', 'with (view) { return email }')(view) as unknown, ['email']],
  ['typeof of a property', (view) => typeof view.email, ['email']],
  ['a comparison', (view) => view.email === 'x', ['email']],
  ['a switch', (view) => (view.email === 'email-value' ? 'yes' : 'no'), ['email']],
  ['delete in a copy', (view) => withoutEmail(view), TOP],
  ['Reflect.has', (view) => Reflect.has(view, 'email'), []],
  ['Reflect.getOwnPropertyDescriptor', (view) => Reflect.getOwnPropertyDescriptor(view, 'email')?.value, []],
  [
    'Reflect.apply of a getter',
    (view) => Reflect.apply(Object.getOwnPropertyDescriptor(view, 'email')!.get!, view, []) as unknown,
    ['email'],
  ],
  [
    'Reflect.set',
    (view) => {
      try {
        return Reflect.set(view, 'email', 'x')
      } catch (error) {
        return error
      }
    },
    [],
  ],
  [
    'the setter of a descriptor',
    (view) => {
      try {
        return Object.getOwnPropertyDescriptor(view, 'email')?.set?.call(view, 'x')
      } catch (error) {
        return error
      }
    },
    [],
  ],
  ['Object.getOwnPropertyNames', (view) => Object.getOwnPropertyNames(view), []],
  ['Object.getOwnPropertySymbols', (view) => Object.getOwnPropertySymbols(view), []],
  [
    'a Proxy whose trap reads the target',
    (view) => new Proxy(view, { get: (target, name) => Reflect.get(target, name) as unknown }).email,
    ['email'],
  ],
  [
    'a Proxy of an empty object',
    (view) => new Proxy({} as View, { get: (_target, name) => Reflect.get(view, name) as unknown }).email,
    ['email'],
  ],
  [
    'an instance whose prototype it is',
    (view) => {
      class Child {}
      Object.setPrototypeOf(Child.prototype, view)
      return (new Child() as View).email
    },
    ['email'],
  ],
  ['JSON.stringify with a replacer', (view) => JSON.stringify(view, (_name, value: unknown) => value), EVERY],
  [
    'JSON.stringify with a replacer that leaves out',
    (view) => JSON.stringify(view, (name, value: unknown) => (name === 'address' ? undefined : value)),
    TOP,
  ],
  ['JSON.stringify with spaces', (view) => JSON.stringify(view, null, 2), EVERY],
  ['JSON.stringify of a holder with toJSON', (view) => JSON.stringify({ toJSON: () => view }), EVERY],
  ['JSON.stringify of a Map of entries', (view) => JSON.stringify([...new Map(Object.entries(view))]), EVERY],
  [
    'a clone of a nested record',
    (view) => structuredClone(view.address),
    ['address.city', 'address.geo.lat'],
  ],
  ['a clone of a list of records', (view) => structuredClone([view, view]), EVERY],
  ['a worker', inWorker, EVERY],
  ['a stream of objects', (view) => textOf(Readable.from([view]).map((each: View) => each.email)), ['email']],
  ['an iterator of entries', (view) => Object.entries(view).values().next().value, TOP],
  ['a generator', (view) => [...yielding(view)], ['email', 'address.city']],
  ['an async iterator', (view) => firstOf(yieldingLater(view)), ['email']],
  ['a promise', (view) => Promise.resolve(view).then(({ email }) => email), ['email']],
  ['an awaited record', async (view) => await view, []],
  ['Promise.all of its values', (view) => Promise.all(Object.values(view)), TOP],
  ['map over a list', (view) => [view].map(({ email }) => email), ['email']],
  ['filter over a list', (view) => [view].filter(({ email }) => email === 'email-value').length, ['email']],
  ['find in a list', (view) => [view].find(({ id }) => id === 'id-value'), ['id']],
  ['sort of a list', (view) => [view, view].toSorted((a, b) => a.email.localeCompare(b.email)), ['email']],
  ['reduce of a list', (view) => [view].reduce((all, { email }) => all + email, ''), ['email']],
  ['grouping of a list', (view) => [...groupedById([view]).keys()], ['id']],
  ['a list that is joined', (view) => [view].join(), []],
  ['a list that includes it', (view) => [view].includes(view), []],
  ['flattening of a list', (view) => [[view]].flat().length, []],
  ['a Set of values', (view) => new Set(Object.values(view)).size, TOP],
  ['a tagged template', (view) => String.raw`${view.email}`, ['email']],
  ['a search in a text of it', (view) => view.email.includes('@'), ['email']],
  [
    'a template in a loop',
    (view) => Object.keys(view).map((name) => `${name}=${view[name as 'email']}`),
    TOP,
  ],
  ['URLSearchParams', (view) => new URLSearchParams(view as never).toString(), TOP],
  ['a form', (view) => formOf(view), TOP],
  ['a regular expression', (view) => /value/.exec(view.email)?.input, ['email']],
  ['Buffer.from', (view) => Buffer.from(view.email).toString(), ['email']],
  ['TextEncoder', (view) => new TextDecoder().decode(new TextEncoder().encode(view.email)), ['email']],
  ['the message of an error', (view) => new Error(view.email).message, ['email']],
  ['an error with the record in its message', (view) => new Error(String(view)).message, []],
  ['format with %O', (view) => format('%O', view), []],
  ['format with %d', (view) => format('%d', view), []],
  ['console.table', (view) => inspect(new Map([['a', view]]), { depth: 9 }), []],
  ['a custom inspection', (view) => inspect({ [inspect.custom]: () => view }, { depth: 9 }), []],
  [
    'a deep comparison of a part',
    (view) => isDeepStrictEqual(view.address, { city: 'city-value', geo: { lat: 'y' } }),
    ['address.city', 'address.geo.lat'],
  ],
  ['res.json', (view) => served((res) => res.json(view)), EVERY],
  ['res.json of a part', (view) => served((res) => res.json({ email: view.email })), ['email']],
  [
    'res.json with a replacer',
    (view) =>
      served((res) => {
        res.app.set('json replacer', (name: string, value: unknown) =>
          name === 'address' ? undefined : value,
        )
        res.json(view)
      }),
    TOP,
  ],
  ['res.jsonp', (view) => served((res) => res.jsonp(view)), EVERY],
  ['res.send', (view) => served((res) => res.send(view)), EVERY],
  ['res.send of a text', (view) => served((res) => res.send(view.email)), ['email']],
  ['res.format', (view) => served((res) => res.format({ json: () => res.json({ id: view.id }) })), ['id']],
  [
    'res.locals and a template engine',
    (view) =>
      served((res) => {
        res.locals['user'] = view
        res.render('page')
      }),
    ['email'],
  ],
  ['res.cookie', (view) => served((res) => res.cookie('c', view.email).end()), ['email']],
  ['a pipe', (view) => served((res) => Readable.from([view.email]).pipe(res)), ['email']],
]

function groupedById(views: readonly View[]): Map<string, View[]> {
  const groups = new Map<string, View[]>()
  for (const view of views) groups.set(view.id, [...(groups.get(view.id) ?? []), view])
  return groups
}

function copyByKeys(view: View): object {
  const copy: Record<string, unknown> = {}
  for (const name of Object.keys(view)) copy[name] = view[name as 'email']
  return copy
}

function withoutEmail(view: View): object {
  const copy: Record<string, unknown> = { ...view }
  delete copy['email']
  return copy
}

function* yielding(view: View): Generator<string> {
  yield view.email
  yield view.address.city
}

async function* yieldingLater(view: View): AsyncGenerator<string> {
  yield await Promise.resolve(view.email)
}

async function firstOf(values: AsyncIterable<string>): Promise<string | undefined> {
  for await (const value of values) return value
  return undefined
}

function formOf(view: View): string {
  const form = new FormData()
  for (const [name, value] of Object.entries(view)) form.set(name, String(value))
  return String(form.get('email'))
}

async function inWorker(view: View): Promise<unknown> {
  const worker = new Worker('require("node:worker_threads").parentPort.postMessage("started")', {
    eval: true,
    workerData: view,
  })
  await once(worker, 'message')
  await worker.terminate()
  return undefined
}

/** An Express template engine with a page that shows an email address. */
class Page {
  readonly path = 'page'
  render({ user }: { readonly user: View }, done: (error: null, text: string) => void): void {
    done(null, `<p>${user.email}</p>`)
  }
}

/** The response of Express as its caller receives it. */
async function served(answer: (res: express.Response) => unknown): Promise<string> {
  const app = express()
  app.set('env', 'test')
  app.set('view engine', 'txt').set('view', Page)
  app.use((_req, res) => void answer(res))
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/?callback=f`)
    return JSON.stringify([...response.headers]) + (await response.text())
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

/** Loads a package without types. */
// oxlint-disable-next-line typescript/no-explicit-any -- a package of any kind
type Load = (name: string) => any

/** Ways of libraries, for processes that can load them. */
export function waysOfLibraries(load: Load): readonly Way[] {
  const lodash = load('lodash')
  const ramda = load('ramda')
  load('reflect-metadata')
  const transformer = load('class-transformer')
  const superjson = load('superjson').default
  const msgpack = load('@msgpack/msgpack')
  const msgpackr = load('msgpackr')
  const fast = load('fast-json-stringify')
  const bson = load('bson')
  const some = { type: 'object', properties: { email: { type: 'string' } } }
  return [
    ['lodash: get', (view) => lodash.get(view, 'email'), ['email']],
    ['lodash: get of a path', (view) => lodash.get(view, 'address.geo.lat'), ['address.geo.lat']],
    ['lodash: pick', (view) => lodash.pick(view, ['email']), ['email']],
    ['lodash: pick of a path', (view) => lodash.pick(view, ['address.city']), ['address.city']],
    ['lodash: omit', (view) => lodash.omit(view, ['email']), TOP],
    ['lodash: merge', (view) => lodash.merge({}, view), EVERY],
    ['lodash: assign', (view) => lodash.assign({}, view), TOP],
    ['lodash: defaults', (view) => lodash.defaults({}, view), TOP],
    ['lodash: clone', (view) => lodash.clone(view), TOP],
    ['lodash: cloneDeep', (view) => lodash.cloneDeep(view), EVERY],
    ['lodash: mapValues', (view) => lodash.mapValues(view, String), TOP],
    ['lodash: values', (view) => lodash.values(view), TOP],
    ['lodash: toPairs', (view) => lodash.toPairs(view), TOP],
    // lodash also reads the value.
    ['lodash: has', (view) => lodash.has(view, 'email'), ['email']],
    ['lodash: keys', (view) => lodash.keys(view), []],
    ['lodash: map by name', (view) => lodash.map([view], 'email'), ['email']],
    ['lodash: sortBy', (view) => lodash.sortBy([view, view], 'email').length, ['email']],
    ['lodash: groupBy', (view) => Object.keys(lodash.groupBy([view], 'id')), ['id']],
    ['lodash: find', (view) => lodash.find([view], { id: 'id-value' }) !== undefined, ['id']],
    ['lodash: isEqual', (view) => lodash.isEqual(view, person()), EVERY],
    ['lodash: template', (view) => lodash.template('<%= user.email %>')({ user: view }), ['email']],
    ['ramda: prop', (view) => ramda.prop('email', view), ['email']],
    ['ramda: path', (view) => ramda.path(['address', 'city'], view), ['address.city']],
    ['ramda: pick', (view) => ramda.pick(['email'], view), ['email']],
    ['ramda: clone', (view) => ramda.clone(view), EVERY],
    ['ramda: lens', (view) => ramda.view(ramda.lensProp('email'), view), ['email']],
    ['class-transformer: instanceToPlain', (view) => transformer.instanceToPlain(view), EVERY],
    ['class-transformer: plainToInstance', (view) => transformer.plainToInstance(class Any {}, view), EVERY],
    ['superjson: serialize', (view) => superjson.serialize(view), EVERY],
    ['superjson: stringify', (view) => superjson.stringify(view), EVERY],
    ['@msgpack/msgpack: encode', (view) => msgpack.decode(msgpack.encode(view)), EVERY],
    ['msgpackr: pack', (view) => msgpackr.unpack(msgpackr.pack(view)), EVERY],
    ['bson: serialize', (view) => bson.deserialize(bson.serialize(view)), EVERY],
    ['fast-json-stringify: some fields', (view) => fast(some)(view), ['email']],
    [
      'fast-json-stringify: all fields',
      (view) => fast({ type: 'object', additionalProperties: true })(view),
      EVERY,
    ],
    ['devalue: stringify', (view) => load('devalue').stringify(view), EVERY],
    ['flatted: stringify', (view) => load('flatted').stringify(view), EVERY],
    ['yaml: stringify', (view) => load('yaml').stringify(view), EVERY],
    ['ejs: render', (view) => load('ejs').render('<p><%= user.email %></p>', { user: view }), ['email']],
    [
      'ejs: render with the record as its data',
      (view) => load('ejs').render('<%= email %>', view),
      ['email'],
    ],
    ['pug: render', (view) => load('pug').render('p= user.email', { user: view }), ['email']],
    ['handlebars: render', (view) => load('handlebars').compile('{{user.email}}')({ user: view }), ['email']],
    [
      'handlebars: a loop',
      (view) => load('handlebars').compile('{{#each user}}{{@key}}{{/each}}')({ user: view }),
      TOP,
    ],
    ['bson: calculateObjectSize', (view) => bson.calculateObjectSize(view), EVERY],
  ]
}
