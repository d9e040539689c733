/** A row of the table. */
export interface Row {
  readonly what: string
  readonly measured: string
  /** Empty if the row has no target. */
  readonly target: string
  readonly ok?: boolean
}

const WIDTHS = [74, 14, 12, 3]

export const header: string = columns('what', 'measured', 'target', 'ok')

export function line({ what, measured, target, ok }: Row): string {
  return columns(what, measured, target, ok === undefined ? '' : ok ? 'yes' : 'NO')
}

function columns(...texts: readonly string[]): string {
  return texts.map((text, index) => text.padEnd(WIDTHS[index] ?? 0)).join(' | ')
}

/** A row without a target. */
export function told(what: string, measured: string): Row {
  return { what, measured, target: '' }
}

/** A row whose value must be at most `most`. */
export function atMost(what: string, value: number, most: number, unit = '', digits = 1): Row {
  const text = (number: number, places: number): string => `${number.toFixed(places)} ${unit}`.trim()
  const target = `<= ${text(most, Number.isInteger(most) ? 0 : digits)}`
  return { what, measured: text(value, digits), target, ok: value <= most }
}

/** A row whose count must be `expected`. */
export function exactly(what: string, value: number, expected: number): Row {
  return { what, measured: String(value), target: String(expected), ok: value === expected }
}

/** The value that this share of the values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}
