import { randomWords } from '../ip/population.ts'
import type { Entry } from './contestants.ts'

type Random = ReturnType<typeof randomWords>

interface Kind<One> {
  readonly entry: (index: number) => One
  /** A text that the entry admits. */
  readonly inside: (index: number, random: Random) => string
  /**
   * Whether few entries admit only few texts. The guard caches recently parsed URLs, so its time with few entries would not show
   * how it grows with their number.
   */
  readonly fewTexts?: boolean
  /** A similar text that no entry admits. */
  readonly outside: (index: number, random: Random) => string
}

const code = (random: Random): string => (random() % 1_000_000_007).toString(36)
/** Ids have the same length with 10 and with 10,000 entries. */
const id = (index: number): number => 10_000 + index
const name = (index: number): string => `client-${id(index)}.example`
const host = (index: number): string => `https://${name(index)}`

const origins: Kind<string> = {
  entry: host,
  inside: host,
  outside: (index, random) => `${host(index)}.${code(random)}.example`,
}

const wildcards: Kind<string> = {
  entry: (index) => `https://*.${name(index)}`,
  inside: (index, random) => `https://${code(random)}.${name(index)}`,
  outside: (index, random) => `https://${code(random)}${name(index)}`,
}

const prefixes: Kind<Entry> = {
  entry: (index) => `${host(index)}/callback/`,
  inside: (index, random) => `${host(index)}/callback/${code(random)}/?tracking=${code(random)}`,
  outside: (index, random) => `${host(index)}/callbacks/${code(random)}/?tracking=${code(random)}`,
}

const exact: Kind<Entry> = {
  fewTexts: true,
  entry: (index) => ({ exact: `${host(index)}/auth/done?tenant=${id(index)}` }),
  inside: (index) => `${host(index)}/auth/done?tenant=${id(index)}`,
  outside: (index, random) => `${host(index)}/auth/done?tenant=${code(random)}`,
}

/** Many tenants of one origin. */
const oneOrigin: Kind<Entry> = {
  entry: (index) => `https://example.org/tenants/${id(index)}/callback/`,
  inside: (index, random) => `https://example.org/tenants/${id(index)}/callback/?code=${code(random)}`,
  outside: (index, random) => `https://example.org/tenants/${id(index)}/${code(random)}/callback/`,
}

const apps: Kind<Entry> = {
  entry: (index) => `com.client${id(index)}.app:/callback`,
  inside: (index, random) => `com.client${id(index)}.app:/callback?code=${code(random)}`,
  outside: (index, random) => `com.client${id(index)}.app:/callback${code(random)}`,
}

function mixOf<One>(...kinds: readonly Kind<One>[]): Kind<One> {
  const kind = (index: number): Kind<One> => kinds[index % kinds.length] as Kind<One>
  return {
    entry: (index) => kind(index).entry(index),
    fewTexts: kinds.some(({ fewTexts }) => fewTexts === true),
    inside: (index, random) => kind(index).inside(index, random),
    outside: (index, random) => kind(index).outside(index, random),
  }
}

export const originKinds: Readonly<Record<string, Kind<string>>> = {
  origins,
  wildcards,
  'origins and wildcards': mixOf(origins, wildcards),
}

export const returnUrlKinds: Readonly<Record<string, Kind<Entry>>> = {
  prefixes,
  'exact entries': exact,
  'prefixes of one origin': oneOrigin,
  'prefixes, exact entries, apps': mixOf(prefixes, exact, oneOrigin, apps),
}

/** How often each entry is used: a few clients send most requests (`zipf`), or all send equally many (`even`). */
export type Demand = 'zipf' | 'even'

/** Texts to check. No entry admits every fifth of them. */
export function questions<One>(kind: Kind<One>, size: number, count: number, demand: Demand): string[] {
  const random = randomWords(size)
  const share = (): number => random() / 2 ** 32
  // Entries are not used in the order in which they were created.
  const spread = (rank: number): number => (rank * 7_919 + 13) % size
  return Array.from({ length: count }, (_, at) => {
    const rank = demand === 'even' ? Math.floor(share() * size) : Math.floor((size + 1) ** share()) - 1
    const index = spread(Math.min(rank, size - 1))
    return at % 5 === 4 ? kind.outside(index, random) : kind.inside(index, random)
  })
}
