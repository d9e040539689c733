/** A median with its quartiles. */
export interface Figure {
  readonly median: number
  readonly low: number
  readonly high: number
}

/** The results on one version of Node, by name. */
export type Figures = Map<string, Figure>

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * share
  const below = sorted[Math.floor(place)] ?? Number.NaN
  const above = sorted[Math.ceil(place)] ?? below
  return below + (above - below) * (place - Math.floor(place))
}

export function figureOf(values: readonly number[]): Figure {
  const [low = 0, median = 0, high = 0] = [0.25, 0.5, 0.75].map((share) => quantile(values, share))
  return { low, median, high }
}

export function show({ median, low, high }: Figure, digits = 2): string {
  return `${median.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`
}
