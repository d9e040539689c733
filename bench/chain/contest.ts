/** Compares a variant with bare Express. Both receive the same bytes, in turn. */
import { figureOf, quantile, type Figure } from './figures.ts'
import { Subject, type ServerOptions } from './client.ts'
import { requests } from './traffic.ts'
import { BASE, type Variant } from './variants.ts'

export interface Lengths {
  /** Requests to each server before the measurement. With fewer than 20,000, the base appears faster than it is. */
  readonly warmUp: number
  /** Slices per server. */
  readonly slices: number
  /** Requests per slice. */
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

/** A variant, and a base server that receives the same load. */
export interface Pair {
  readonly variant: Variant
  readonly base: Subject
  readonly subject: Subject
}

const PASSES = { status: 200 }

/** Starts both servers, calls `use`, and stops them. */
export async function withPair<Value>(
  variant: Variant,
  options: ServerOptions,
  use: (pair: Pair) => Promise<Value>,
): Promise<Value> {
  const subject = await Subject.start(variant.name, options)
  try {
    const base = await Subject.start(BASE, options)
    try {
      return await use({ variant, base, subject })
    } finally {
      await base.stop()
    }
  } finally {
    await subject.stop()
  }
}

const STEP = 1_000

export async function warm({ variant, base, subject }: Pair, count: number): Promise<void> {
  for (let left = count; left > 0; left -= STEP) {
    const load = await requests(variant.kind, Math.min(left, STEP))
    await base.send(load, PASSES)
    await subject.send(load, variant.expects)
  }
}

interface Slice {
  readonly micros: number
  readonly perSecond: number
}

async function slice(subject: Subject, load: readonly Buffer[], expects: Variant['expects']): Promise<Slice> {
  const before = await subject.ask('cpu')
  const time = await subject.send(load, expects)
  const micros = ((await subject.ask('cpu')) - before) / load.length
  return { micros, perSecond: (load.length / time) * 1000 }
}

export async function compete(variant: Variant, options: ServerOptions, lengths: Lengths): Promise<Outcome> {
  return withPair(variant, options, async (pair) => {
    await warm(pair, lengths.warmUp)
    const bases: Slice[] = []
    const subjects: Slice[] = []
    const ofBase = async (load: readonly Buffer[]): Promise<void> => {
      bases.push(await slice(pair.base, load, PASSES))
    }
    const ofSubject = async (load: readonly Buffer[]): Promise<void> => {
      subjects.push(await slice(pair.subject, load, variant.expects))
    }
    for (let index = 0; index < lengths.slices; index += 1) {
      const load = await requests(variant.kind, lengths.size)
      // They alternate, so that neither is always second.
      const turns = index % 2 === 0 ? [ofBase, ofSubject] : [ofSubject, ofBase]
      for (const turn of turns) await turn(load)
    }
    const ratios = (of: (base: Slice, subject: Slice) => number): Figure =>
      figureOf(bases.map((base, index) => of(base, subjects[index] as Slice)))
    return {
      cpu: ratios((base, subject) => base.micros / subject.micros),
      rate: ratios((base, subject) => subject.perSecond / base.perSecond),
      baseMicros: quantile(
        bases.map(({ micros }) => micros),
        0.5,
      ),
      micros: quantile(
        subjects.map(({ micros }) => micros),
        0.5,
      ),
    }
  })
}
