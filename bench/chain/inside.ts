/** Measurements inside the server: memory and promises per request, and the time of the chain without the server. */
import { Subject, type ServerOptions } from './client.ts'
import { FROM_SOURCES } from './build.ts'
import { CHOICE, FOUR, HELMET, NOTHING, SIX } from './clocked.ts'
import { warm, withPair, type Pair } from './contest.ts'
import { figureOf, quantile, type Figure } from './figures.ts'
import { requests } from './traffic.ts'
import { LEAST, type Variant } from './variants.ts'

export interface Weight {
  /** Memory allocated per request in addition to bare Express, in KiB. */
  readonly kibibytes: Figure
  /** Promises created per request in addition to bare Express. */
  readonly promises: number
}

/** Flags for a young generation so large that no garbage is collected during a round of requests. */
const ROOM = ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128']
const IN_A_ROUND = 500

async function allocated(
  subject: Subject,
  load: readonly Buffer[],
  expects: Variant['expects'],
): Promise<number> {
  await subject.ask('collected')
  // Garbage collections are reported with a short delay.
  await subject.ask('cpu')
  const { used } = await subject.ask('heap')
  await subject.send(load, expects)
  const after = await subject.ask('heap')
  if (after.collections > 0) throw new Error('garbage was collected while allocations were counted')
  return (after.used - used) / load.length / 1024
}

async function promised(
  subject: Subject,
  load: readonly Buffer[],
  expects: Variant['expects'],
): Promise<number> {
  await subject.ask('promises')
  await subject.send(load, expects)
  return (await subject.ask('promises')) / load.length
}

export async function weigh(
  variant: Variant,
  options: ServerOptions,
  lengths: { warmUp: number; rounds: number },
): Promise<Weight> {
  return withPair(variant, { ...options, flags: ROOM }, async (pair: Pair) => {
    await warm(pair, lengths.warmUp)
    const { base, subject } = pair
    const passes = { status: 200 }
    const above: number[] = []
    for (let round = 0; round < lengths.rounds; round += 1) {
      const load = await requests(variant.kind, IN_A_ROUND)
      const ofBase = await allocated(base, load, passes)
      above.push((await allocated(subject, load, variant.expects)) - ofBase)
    }
    const load = await requests(variant.kind, IN_A_ROUND)
    const ofBase = await promised(base, load, passes)
    return {
      kibibytes: figureOf(above),
      promises: (await promised(subject, load, variant.expects)) - ofBase,
    }
  })
}

/** The cost of a layer per request, in addition to bare Express. */
export interface LayerCost {
  readonly bytes: number
  readonly micros: number
}

const SAMPLED = 2_000
const PROFILED = 10_000

/**
 * The memory and time per request in addition to bare Express, by layer, largest memory first. The servers run from the
 * sources, whose functions have readable names.
 */
export async function attribute(
  variant: Variant,
  options: ServerOptions,
  { warmUp }: { warmUp: number },
): Promise<ReadonlyMap<string, LayerCost>> {
  const env = { ...options.env, [FROM_SOURCES]: '1' }
  return withPair(variant, { ...options, flags: ROOM, env }, async (pair) => {
    await warm(pair, warmUp)
    const sides = [
      [pair.base, { status: 200 }, -1],
      [pair.subject, variant.expects, 1],
    ] as const
    const costs = new Map<string, { bytes: number; micros: number }>()
    for (const [subject, expects, sign] of sides) {
      await subject.ask('layers')
      for (let sent = 0; sent < PROFILED; sent += SAMPLED)
        await subject.send(await requests(variant.kind, SAMPLED), expects)
      const times = await subject.ask('layers')
      await subject.ask('collected')
      await subject.ask('memory')
      await subject.send(await requests(variant.kind, SAMPLED), expects)
      const bytes = await subject.ask('memory')
      for (const layer of new Set([...Object.keys(times), ...Object.keys(bytes)])) {
        const cost = costs.get(layer) ?? { bytes: 0, micros: 0 }
        costs.set(layer, cost)
        cost.bytes += (sign * (bytes[layer] ?? 0)) / SAMPLED
        cost.micros += (sign * (times[layer] ?? 0)) / PROFILED
      }
    }
    return new Map([...costs].toSorted(([, one], [, other]) => other.bytes - one.bytes))
  })
}

/** The time of a chain until it calls `next()`, relative to helmet. */
export type ChainTimes = Readonly<Record<typeof FOUR | typeof SIX | typeof LEAST, Figure>>

const SIGNED: ReadonlySet<string> = new Set([SIX, LEAST])
const CHAINS = [NOTHING, HELMET, FOUR, SIX, LEAST] as const

export async function clock(
  options: ServerOptions,
  lengths: { warmUp: number; rounds: number },
): Promise<ChainTimes> {
  const subject = await Subject.start('clocked', options)
  const ratios: Record<keyof ChainTimes, number[]> = { [FOUR]: [], [SIX]: [], [LEAST]: [] }
  try {
    for (let sent = -lengths.warmUp; sent < lengths.rounds * IN_A_ROUND; sent += IN_A_ROUND) {
      const loads = await Promise.all(
        CHAINS.map((name) =>
          requests(SIGNED.has(name) ? 'signed' : 'page', IN_A_ROUND / 2, { [CHOICE]: name }),
        ),
      )
      // The chains take turns.
      const mixed = Array.from(
        { length: (IN_A_ROUND / 2) * loads.length },
        (_, index) => loads[index % loads.length]?.[Math.floor(index / loads.length)] as Buffer,
      )
      await subject.send(mixed, { status: 200 })
      const times = await subject.ask('times')
      if (sent < 0) continue
      const nothing = quantile(times[NOTHING] ?? [], 0.5)
      const taken = (name: string): number => quantile(times[name] ?? [], 0.5) - nothing
      for (const name of [FOUR, SIX, LEAST] as const) ratios[name].push(taken(name) / taken(HELMET))
    }
  } finally {
    await subject.stop()
  }
  return { [FOUR]: figureOf(ratios[FOUR]), [SIX]: figureOf(ratios[SIX]), [LEAST]: figureOf(ratios[LEAST]) }
}
