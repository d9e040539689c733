/** One sample in the text format of Prometheus. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(?:,|$)/y

/**
 * A strict parser of the Prometheus text format 0.0.4. Throws if Prometheus would refuse it, or if a sample has no
 * type.
 */
export function readExposition(text: string): readonly Sample[] {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line has no end')
  const types = new Map<string, string>()
  const seen = new Set<string>()
  const samples: Sample[] = []
  for (const line of text.split('\n').slice(0, -1)) {
    const [, name, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? []
    if (name !== undefined && type !== undefined) {
      if (types.has(name)) throw new Error(`${name} has two types`)
      types.set(name, type)
    } else if (!/^# HELP \S+ \S/.test(line)) samples.push(readSample(line))
  }
  for (const { name, labels } of samples) {
    const family = types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, '')
    if (!types.has(family)) throw new Error(`${name} has no type`)
    const key = `${name} ${JSON.stringify(labels)}`
    if (seen.has(key)) throw new Error(`${key} stands there twice`)
    seen.add(key)
  }
  return samples
}

function readSample(line: string): Sample {
  const [, name = '', inside = '', number = ''] = LINE.exec(line) ?? []
  const value = number === '+Inf' ? Infinity : Number(number)
  if (name === '' || Number.isNaN(value)) throw new Error(`not a figure: ${line}`)
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < inside.length) {
    const [, label = '', text = ''] = LABEL.exec(inside) ?? []
    if (label === '') throw new Error(`not labels: ${inside}`)
    labels[label] = text.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
  }
  return { name, labels, value }
}
