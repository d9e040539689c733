/** Measures latency at half of the maximum load of a server. */
import { warm, withPair } from './contest.ts'
import { figureOf, quantile, type Figure } from './figures.ts'
import type { Subject, ServerOptions } from './client.ts'
import { requests } from './traffic.ts'
import type { Variant } from './variants.ts'

export const PERCENTILES = [0.5, 0.9, 0.99] as const

export interface Latency {
  /** Requests per second to each server: half of the maximum rate of the variant. */
  readonly rate: number
  /** Latency for each percentile, over the rounds, in milliseconds. */
  readonly base: readonly Figure[]
  readonly variant: readonly Figure[]
}

export interface LatencyLengths {
  readonly warmUp: number
  readonly rounds: number
  readonly seconds: number
}

export async function measureLatency(
  variant: Variant,
  options: ServerOptions,
  { warmUp, rounds, seconds }: LatencyLengths,
): Promise<Latency> {
  return withPair(variant, options, async (pair) => {
    await warm(pair, warmUp)
    const rate = (await mostPerSecond(pair.subject, variant)) / 2
    const ofBase: number[][] = []
    const ofVariant: number[][] = []
    for (let round = 0; round < rounds; round += 1) {
      const load = await requests(variant.kind, Math.round(rate * seconds))
      ofBase.push(await pair.base.sendAtRate(load, rate, { status: 200 }))
      ofVariant.push(await pair.subject.sendAtRate(load, rate, variant.expects))
    }
    const figures = (rows: readonly number[][]): Figure[] =>
      PERCENTILES.map((share) => figureOf(rows.map((times) => quantile(times, share))))
    return { rate, base: figures(ofBase), variant: figures(ofVariant) }
  })
}

const SAMPLE = 2_000

async function mostPerSecond(subject: Subject, { kind, expects }: Variant): Promise<number> {
  const rates: number[] = []
  for (let sample = 0; sample < 3; sample += 1) {
    rates.push((SAMPLE / (await subject.send(await requests(kind, SAMPLE), expects))) * 1000)
  }
  return quantile(rates, 0.5)
}
