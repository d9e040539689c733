import { createPolicySource, memoryStore, type ProtectOptions } from 'portcullis'
import { awaitEmptyContent } from '../../../src/http/request/empty-content.ts'
import { generateApps, type GeneratedApp } from './apps.ts'
import { Chance } from './chance.ts'
import { compare, type Result } from './compare.ts'
import { RequestMaker, type GeneratedRequest } from './requests.ts'
import { documentedOrder, protectedBy, SETUPS, singleMounts, type MountName, type Setup } from './setups.ts'
import { Side, type ExpressModule } from './side.ts'
import { WireConnection, type WireAnswer } from './wire.ts'

export interface DifferentialOptions {
  readonly express: ExpressModule
  readonly seed: number
  /** The number of requests to each side. */
  readonly requests: number
  /** The single mounts in order. Default: the documented order. */
  readonly order?: (setup: Setup) => readonly MountName[]
  /** Stops after this many differences. Default 5. */
  readonly most?: number
}

export interface Report {
  readonly requests: number
  /** The number of requests for which each documented difference occurred. */
  readonly rules: Readonly<Record<string, number>>
  /** How often each code was the last decision. */
  readonly codes: Readonly<Record<string, number>>
  readonly statuses: Readonly<Record<string, number>>
  readonly fieldEvents: number
  /** Descriptions of the differences, with the request. */
  readonly differences: readonly string[]
}

/** The source addresses of connections, which policies allow or refuse, of both IP versions. */
const ADDRESSES = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '::1']
const LANES = 16
const BATCH = 64

/** Sends generated requests to both sides, and compares the results. The same seed generates the same requests. */
export async function runDifferential(options: DifferentialOptions): Promise<Report> {
  const tally = new Tally()
  const share = Math.ceil(options.requests / SETUPS.length)
  for (const [index, setup] of SETUPS.entries()) {
    const count = Math.min(share, options.requests - index * share)
    await runSetup({ ...options, requests: count, seed: options.seed * SETUPS.length + index }, setup, tally)
    if (tally.differences.length >= (options.most ?? 5)) break
  }
  return tally
}

class Tally implements Report {
  requests = 0
  readonly rules: Record<string, number> = {}
  readonly codes: Record<string, number> = {}
  readonly statuses: Record<string, number> = {}
  fieldEvents = 0
  readonly differences: string[] = []
}

function count(counts: Record<string, number>, name: string | number): void {
  counts[name] = (counts[name] ?? 0) + 1
}

async function runSetup(options: DifferentialOptions, setup: Setup, tally: Tally): Promise<void> {
  const { express, seed, requests, order = documentedOrder, most = 5 } = options
  const apps = generateApps(new Chance(seed), 60)
  const store = memoryStore(apps.map(({ policy, keys }) => ({ policy, keys: keys.map(({ key }) => key) })))
  const policies = createPolicySource({ store })
  const single = new Side(express, setup, policies, (given: ProtectOptions) =>
    singleMounts(given, order(setup)),
  )
  const chained = new Side(express, setup, policies, protectedBy)
  const alone = new Side(express, setup, policies, (given) => [
    // Like the parsers of `protect()`, which run before `serverOnly`.
    awaitEmptyContent,
    ...singleMounts(given, aloneOf(setup)),
  ])
  const sides: Sides = { single, chained, alone }
  await Promise.all(Object.values(sides).map((side) => side.listen()))
  // Loads everything first, so that neither side reads a policy or a list for the first time.
  await Promise.all(apps.map(({ policy }) => policies.load(policy.appId)))
  const lanes = Array.from({ length: LANES }, (_none, index) => new Lane(index, apps, setup, seed, sides))
  try {
    let left = requests
    while (left > 0 && tally.differences.length < most) {
      const size = Math.min(BATCH, Math.ceil(left / LANES))
      const exchanged = (await Promise.all(lanes.map((lane) => lane.exchange(size)))).flat()
      left -= exchanged.length
      await Promise.all(Object.values(sides).map((side) => side.settled()))
      for (const exchange of exchanged) judge(exchange, sides, tally)
    }
  } catch (error) {
    tally.differences.push(`seed ${options.seed}, ${setup.name}: ${String(error)}`)
  } finally {
    for (const lane of lanes) lane.close()
    await Promise.all(Object.values(sides).map((side) => side.close()))
    policies.close()
  }
}

interface Sides {
  readonly single: Side
  readonly chained: Side
  readonly alone: Side
}

/** The mounts before `serverOnly` by itself: the parsers, if the app id is in the body. */
function aloneOf({ appId }: Setup): readonly MountName[] {
  return appId === 'body' ? ['bodyParsers', 'serverOnly'] : ['serverOnly']
}

interface Exchange {
  readonly request: GeneratedRequest
  readonly answers: Readonly<Record<keyof Sides, WireAnswer | undefined>>
}

/** A connection to each side, for one request after another. */
class Lane {
  readonly #maker: RequestMaker
  readonly #connections: Readonly<Record<keyof Sides, WireConnection>>

  constructor(index: number, apps: readonly GeneratedApp[], setup: Setup, seed: number, sides: Sides) {
    this.#maker = new RequestMaker(new Chance(seed * LANES + index), apps, setup, `${seed}-${index}`)
    const from = ADDRESSES[index % ADDRESSES.length] as string
    const to = ({ port }: Side): WireConnection => new WireConnection(port, from)
    this.#connections = { single: to(sides.single), chained: to(sides.chained), alone: to(sides.alone) }
  }

  async exchange(size: number): Promise<Exchange[]> {
    const exchanged: Exchange[] = []
    const { single, chained, alone } = this.#connections
    for (let index = 0; index < size; index += 1) {
      const request = this.#maker.next()
      const { method, bytes } = request
      const [one, other, third] = await Promise.all([
        single.send(method, bytes),
        chained.send(method, bytes),
        request.stranger ? alone.send(method, bytes) : undefined,
      ])
      exchanged.push({ request, answers: { single: one, chained: other, alone: third } })
    }
    return exchanged
  }

  close(): void {
    for (const connection of Object.values(this.#connections)) connection.close()
  }
}

function judge({ request, answers }: Exchange, sides: Sides, tally: Tally): void {
  const resultOf = (name: keyof Sides): Result | undefined => {
    const observed = sides[name].take(request.id)
    const answer = answers[name]
    return answer && { ...observed, answer }
  }
  const [single, chained, alone] = [resultOf('single'), resultOf('chained'), resultOf('alone')]
  if (single === undefined || chained === undefined) throw new Error('a side was not asked')
  const { differences, rules } = compare(request, { single, chained, alone })
  tally.requests += 1
  for (const rule of rules) count(tally.rules, rule)
  count(tally.codes, chained.trail.at(-1)?.code ?? 'no decision')
  count(tally.statuses, chained.answer.status)
  tally.fieldEvents += chained.events.filter(({ kind }) => kind === 'field').length
  if (differences.length > 0) {
    const sent = request.bytes.toString('latin1')
    const policy = JSON.stringify(request.app?.policy)
    tally.differences.push(`${differences.join('\n')}\npolicy: ${policy}\n${sent}`)
  }
}
