/**
 * Traverses everything that is reachable from a handle of `regionalStore` through properties, entries, prototypes and
 * closure scopes, and prints the clients that it reaches. It stops at the clients, beyond which are only ioredis and
 * Node.
 */
import { Session } from 'node:inspector'
import type { Runtime } from 'node:inspector'
import { Redis } from 'ioredis'
import { regionalStore, regions } from '../../src/region/index.ts'

const client = (name: string): Redis => Object.assign(new Redis({ lazyConnect: true }), { reachedAs: name })
const clients = { london: client('london'), frankfurt: client('frankfurt'), dallas: client('dallas') }
const store = regionalStore({ regions: regions(), clients })

const session = new Session()
session.connect()
const ourScripts = new Set<string>()
session.on('Debugger.scriptParsed', ({ params }) => {
  if (/\/src\/|region-graph|compiled/.test(params.url)) ourScripts.add(params.scriptId)
})

function ask(method: string, params: object): unknown {
  let answer: unknown
  let failure: unknown
  session.post(method, params, (error: Error | null, result?: object) => {
    failure = error
    answer = result
  })
  if (answer === undefined)
    throw new Error(`${method} ${JSON.stringify(params)}: ${String((failure as Error | null)?.message)}`)
  return answer
}

interface Properties {
  readonly result: readonly Runtime.PropertyDescriptor[]
  readonly privateProperties?: readonly Runtime.PropertyDescriptor[]
  readonly internalProperties?: readonly Runtime.InternalPropertyDescriptor[]
}

ask('Debugger.enable', {})

/** The reachable clients, and the number of visited objects. */
function walk(start: unknown): { readonly reached: readonly string[]; readonly objects: number } {
  const holder = globalThis as { walkedFrom?: unknown; walkedBefore?: WeakSet<object> }
  holder.walkedFrom = start
  holder.walkedBefore = new WeakSet()
  const { result } = ask('Runtime.evaluate', { expression: 'walkedFrom' }) as {
    result: Runtime.RemoteObject
  }
  const reached = new Set<string>()
  const queue = [result]
  let objects = 0
  for (const object of queue) {
    const { objectId, type, description } = object
    if (objectId === undefined || type === 'symbol' || description === 'Global') continue
    if (wasBefore(objectId)) continue
    objects += 1
    const {
      result: own,
      privateProperties = [],
      internalProperties = [],
    } = ask('Runtime.getProperties', { objectId, ownProperties: true }) as Properties
    const mark = own.find(({ name }) => name === 'reachedAs')?.value
    if (typeof mark?.value === 'string') {
      reached.add(mark.value)
      continue
    }
    queue.push(
      ...[...own, ...privateProperties].flatMap(({ value, get, set }) =>
        [value, get, set].filter((part) => part !== undefined),
      ),
    )
    queue.push(...hidden(internalProperties))
  }
  return { reached: [...reached].toSorted(), objects }
}

function hidden(properties: readonly Runtime.InternalPropertyDescriptor[]): Runtime.RemoteObject[] {
  const place = properties.find(({ name }) => name === '[[FunctionLocation]]')?.value?.value as
    { scriptId?: string } | undefined
  const isForeign = place?.scriptId !== undefined && !ourScripts.has(place.scriptId)
  return properties.flatMap(({ name, value }) => {
    if (value === undefined || name === '[[FunctionLocation]]') return []
    // Closures of Node and of packages reach the whole process.
    if (name === '[[Scopes]]' && (isForeign || place === undefined)) return []
    return [value]
  })
}

/** Whether an object was visited before, or is the global scope, which reaches everything. */
function wasBefore(objectId: string): boolean {
  const { result } = ask('Runtime.callFunctionOn', {
    objectId,
    functionDeclaration: `function () {
      if (this === globalThis || walkedBefore.has(this)) return true
      walkedBefore.add(this)
      return false
    }`,
    returnByValue: true,
  }) as { result: Runtime.RemoteObject }
  return result.value === true
}

const leaking = (): unknown => {
  const { dallas } = clients
  const get = (): unknown => dallas.status
  return { jurisdiction: 'europe', get }
}

process.stdout.write(
  JSON.stringify({
    europe: walk(store.in('europe')),
    world: walk(store.in('world')),
    store: walk(store),
    leaking: walk(leaking()),
  }),
)
store.close()
session.disconnect()
