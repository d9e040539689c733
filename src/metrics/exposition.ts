/** Labels of one row, in output order. */
export type Labels = Readonly<Record<string, string>>

/** One metric family in the text format of Prometheus (version 0.0.4). */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  rows(): Iterable<Row>
}

export interface Row {
  /** Appended to the name of the family: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string | undefined
  readonly labels?: Labels | undefined
  readonly value: number
}

/** The most rows of a counter or histogram. Labels come from closed sets, so more rows would be a mistake. */
const MOST_ROWS = 2_000

/** A counter with one row for each set of labels that has occurred. */
export class Counter implements Family {
  readonly type = 'counter'
  readonly name: string
  readonly help: string
  readonly #counts = new Map<string, { readonly labels: Labels; value: number }>()

  constructor(name: string, help: string) {
    this.name = name
    this.help = help
  }

  add(labels: Labels, more = 1): void {
    const key = Object.values(labels).join('\n')
    const row = this.#counts.get(key)
    if (row !== undefined) row.value += more
    else if (this.#counts.size < MOST_ROWS) this.#counts.set(key, { labels, value: more })
  }

  rows(): Iterable<Row> {
    return this.#counts.values()
  }
}

/** Durations in seconds, in buckets for each set of labels. */
export class Histogram implements Family {
  readonly type = 'histogram'
  readonly name: string
  readonly help: string
  readonly #bounds: readonly number[]
  readonly #series = new Map<string, { readonly labels: Labels; readonly counts: number[]; sum: number }>()

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.name = name
    this.help = help
    this.#bounds = bounds
  }

  observe(labels: Labels, value: number): void {
    const key = Object.values(labels).join('\n')
    let series = this.#series.get(key)
    if (series === undefined) {
      if (this.#series.size >= MOST_ROWS) return
      series = { labels, counts: Array.from({ length: this.#bounds.length + 1 }, () => 0), sum: 0 }
      this.#series.set(key, series)
    }
    const at = this.#bounds.findIndex((bound) => value <= bound)
    const bucket = at === -1 ? this.#bounds.length : at
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1
    series.sum += value
  }

  *rows(): Iterable<Row> {
    for (const { labels, counts, sum } of this.#series.values()) {
      let total = 0
      for (const [index, count] of counts.entries()) {
        total += count
        const le = String(this.#bounds[index] ?? '+Inf')
        yield { suffix: '_bucket', labels: { ...labels, le }, value: total }
      }
      yield { suffix: '_sum', labels, value: sum }
      yield { suffix: '_count', labels, value: total }
    }
  }
}

/** A metric whose value is read each time the metrics are formatted. */
export function gauge(
  name: string,
  help: string,
  read: () => number | Iterable<Row>,
  type: 'gauge' | 'counter' = 'gauge',
): Family {
  return {
    name,
    help,
    type,
    rows() {
      const value = read()
      return typeof value === 'number' ? [{ value }] : value
    },
  }
}

/** Formats all families as text. Omits families without rows. */
export function formatFamilies(families: readonly Family[]): string {
  return families
    .map((family) => {
      const rows = [...family.rows()]
      if (rows.length === 0) return ''
      const { name, help, type } = family
      const lines = rows.map(
        ({ suffix = '', labels, value }) => `${name}${suffix}${formatLabels(labels)} ${numberOf(value)}`,
      )
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`
    })
    .join('')
}

function formatLabels(labels: Labels | undefined): string {
  const entries = Object.entries(labels ?? {})
  if (entries.length === 0) return ''
  return `{${entries.map(([name, value]) => `${name}="${escaped(value)}"`).join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function numberOf(value: number): string {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}
