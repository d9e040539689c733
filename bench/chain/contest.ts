/** A variant against bare Express: both loaded with the same bytes, in turn. */
import { figureOf, quantile, type Figure } from './figures.ts'
import { Target, type ServerOptions } from './client.ts'
import { requests } from './traffic.ts'
import { BASE, type Variant } from './variants.ts'

export interface Lengths {
  /** Requests to each server before anything counts. Below 20,000 the base looks better than it is. */
  readonly warmUp: number
  /** Slices of each. */
  readonly slices: number
  /** Requests in a slice. */
  readonly size: number
}

export interface Outcome {
  /** CPU time of the server per request: that of the base divided by that of the variant. */
  readonly cpu: Figure
  /** Requests per second: those of the variant divided by those of the base. */
  readonly rate: Figure
  /** CPU time per request in microseconds, for scale. */
  readonly baseMicros: number
  readonly micros: number
}

/** A variant and its own base, which has had the same load. */
export interface Pair {
  readonly variant: Variant
  readonly base: Target
  readonly target: Target
}

const PASSES = { status: 200 }

/** Starts both, hands them over, and stops them. */
export async function withPair<Value>(
  variant: Variant,
  options: ServerOptions,
  use: (pair: Pair) => Promise<Value>,
): Promise<Value> {
  const target = await Target.start(variant.name, options)
  try {
    const base = await Target.start(BASE, options)
    try {
      return await use({ variant, base, target })
    } finally {
      await base.stop()
    }
  } finally {
    await target.stop()
  }
}

const STEP = 1_000

export async function warm({ variant, base, target }: Pair, count: number): Promise<void> {
  for (let left = count; left > 0; left -= STEP) {
    const load = await requests(variant.kind, Math.min(left, STEP))
    await base.send(load, PASSES)
    await target.send(load, variant.expects)
  }
}

interface Slice {
  readonly micros: number
  readonly perSecond: number
}

async function slice(target: Target, load: readonly Buffer[], expects: Variant['expects']): Promise<Slice> {
  const before = await target.ask('cpu')
  const time = await target.send(load, expects)
  const micros = ((await target.ask('cpu')) - before) / load.length
  return { micros, perSecond: (load.length / time) * 1000 }
}

export async function compete(variant: Variant, options: ServerOptions, lengths: Lengths): Promise<Outcome> {
  return withPair(variant, options, async (pair) => {
    await warm(pair, lengths.warmUp)
    const bases: Slice[] = []
    const targets: Slice[] = []
    const ofBase = async (load: readonly Buffer[]): Promise<void> => {
      bases.push(await slice(pair.base, load, PASSES))
    }
    const ofTarget = async (load: readonly Buffer[]): Promise<void> => {
      targets.push(await slice(pair.target, load, variant.expects))
    }
    for (let index = 0; index < lengths.slices; index += 1) {
      const load = await requests(variant.kind, lengths.size)
      // Neither is always the one that comes second.
      const turns = index % 2 === 0 ? [ofBase, ofTarget] : [ofTarget, ofBase]
      for (const turn of turns) await turn(load)
    }
    const ratios = (of: (base: Slice, target: Slice) => number): Figure =>
      figureOf(bases.map((base, index) => of(base, targets[index] as Slice)))
    return {
      cpu: ratios((base, target) => base.micros / target.micros),
      rate: ratios((base, target) => target.perSecond / base.perSecond),
      baseMicros: quantile(
        bases.map(({ micros }) => micros),
        0.5,
      ),
      micros: quantile(
        targets.map(({ micros }) => micros),
        0.5,
      ),
    }
  })
}
