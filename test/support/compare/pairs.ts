import fc from 'fast-check'
import type { ListEntry, PolicyInput } from 'portcullis'

/* Pairs of similar policies, whose entries are nested, adjacent or repeated. */

/** The time of every comparison. */
export const NOW = Date.UTC(2029, 5, 1)

export type Lists = ReadonlyMap<string, readonly ListEntry[]>

export interface Pair {
  readonly before: PolicyInput | undefined
  readonly after: PolicyInput | undefined
  readonly lists: readonly [before: Lists, after: Lists]
}

export const RANGES: readonly string[] = [
  '0.0.0.0/0',
  '0.0.0.0/1',
  '128.0.0.0/1',
  '10.0.0.0/8',
  '10.0.0.0/9',
  '10.128.0.0/9',
  '10.1.0.0/16',
  '10.1.2.0/24',
  '10.1.2.0/25',
  '10.1.2.128/25',
  '10.1.2.3',
  '10.1.2.4/30',
  '10.2.0.0/15',
  '255.255.255.254/31',
  '255.255.255.255',
  '0.0.0.0',
  '::/0',
  '::/1',
  '8000::/1',
  '2001:db8::/32',
  '2001:db8::/33',
  '2001:db8:8000::/33',
  '2001:db8::/64',
  '2001:db8::8000:0:0:0/65',
  '2001:db8::1',
  '2001:0DB8::2',
  '2001:db8::/126',
  'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
]

export const DOMAINS: readonly string[] = [
  'https://example.org',
  'https://a.example.org',
  'https://b.a.example.org',
  'https://*.example.org',
  'https://*.a.example.org',
  'https://*.b.a.example.org',
  'https://example.org:8443',
  'https://*.example.org:8443',
  'https://a.example.org:8443',
  'http://*.example.org',
  'http://localhost:3000',
  'https://münchen.example',
  'https://*.münchen.example',
  'https://a.xn--mnchen-3ya.example',
  'https://*.amazonaws.com',
  'https://x.amazonaws.com',
  'https://*.bucket.s3.amazonaws.com',
  'https://a.bucket.s3.amazonaws.com',
  'https://203.0.113.1',
  'https://[2001:db8::1]:8443',
  'https://gateway.example',
  'app://-',
  'myapp://host',
  'null',
]

export const PREFIXES: readonly string[] = [
  'https://a.example/',
  'https://a.example/x',
  'https://a.example/x/',
  'https://a.example/x/y',
  'https://a.example/x/y/',
  'https://a.example/x.y/',
  'https://a.example/x..y',
  'https://a.example/.well-known/x',
  'https://a.example/%C3%A4/',
  "https://a.example/it's(1)~!$&+,;=:@",
  'https://a.example:8443/x',
  'http://a.example/x',
  'https://münchen.example/x',
  'http://127.0.0.1:*/x',
  'http://127.0.0.1/x',
  'http://127.0.0.1:1/x',
  'http://127.0.0.1:2/x/y',
  'http://[::1]:*/',
  'http://[::1]:8080/x/',
  'com.example.app:/callback',
  'myapp://done',
  'myapp:///x',
]

const EXACT: readonly string[] = [
  ...PREFIXES,
  'https://a.example/x?',
  'https://a.example/x?q=1',
  'https://a.example/x?q=%C3%A4&r',
  'https://a.example/x/?q=1',
  'https://a.example/x%2Fy',
  'https://a.example/x%2fy?q=1',
  'http://127.0.0.1:*/x%2Fy',
  'http://127.0.0.1:7/x%2Fy',
  'http://127.0.0.1:*/x?q=1',
]

const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PROPFIND']
const HEADERS: readonly string[] = ['content-type', 'x-a', 'x-b', 'x-0']

const some = <T>(pool: readonly T[], most: number): fc.Arbitrary<T[]> =>
  fc.array(fc.constantFrom(...pool), { maxLength: most })

const mode = fc.oneof(
  { arbitrary: fc.constant('enforce' as const), weight: 9 },
  { arbitrary: fc.constantFrom('report' as const, 'off' as const), weight: 1 },
)

const optional = <T>(arbitrary: fc.Arbitrary<T>, weight = 1): fc.Arbitrary<T | undefined> =>
  fc.oneof({ arbitrary, weight }, { arbitrary: fc.constant(undefined), weight: 1 })

/** Removes undefined members. */
const written = <T extends object>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  arbitrary.map(
    (given) => Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as T,
  )

const NAMES = ['office', 'partners', 'nowhere'] as const

const sections = {
  serverOnly: fc.record({
    mode,
    maxAge: optional(fc.constantFrom(1, 60, 299, 300, 301, 3_600), 3),
    requireDigest: optional(fc.boolean()),
    requireContentType: optional(fc.boolean()),
  }),
  ipWhitelist: fc.record({
    mode,
    ranges: some(RANGES, 6),
    deny: optional(some(RANGES, 3)),
    lists: optional(some(NAMES, 2)),
    denyLists: optional(some(NAMES, 1)),
  }),
  domainProtect: fc
    .record({
      mode,
      domains: some(DOMAINS, 6),
      server: optional(fc.constantFrom('signed' as const, 'claim' as const, 'none' as const)),
      methods: optional(some(METHODS, 4)),
      headers: optional(some(HEADERS, 3)),
      exposedHeaders: optional(some(HEADERS, 2)),
      credentials: optional(fc.boolean()),
      maxAge: optional(fc.constantFrom(0, 5, 6, 600)),
    })
    .map((section) => (section.domains.includes('null') ? { ...section, credentials: undefined } : section)),
  returnUrlGuard: fc.record({
    mode,
    urls: fc.oneof(
      fc.array(
        fc.oneof(
          fc.constantFrom(...PREFIXES),
          fc.constantFrom(...EXACT).map((exact) => ({ exact })),
        ),
        { maxLength: 6 },
      ),
      // So many that they are divided by their segments.
      fc.shuffledSubarray([...PREFIXES.slice(0, 10), ...EXACT.slice(22, 28).map((exact) => ({ exact }))], {
        minLength: 9,
      }),
    ),
  }),
  regionPin: fc.record({
    mode,
    fallback: optional(fc.constantFrom('europe', 'world', 'moon', 'not a name', '__proto__'), 3),
    onMisdirected: optional(fc.constantFrom('reject' as const, 'redirect' as const, 'handOver' as const)),
  }),
  auditAccess: fc.record({
    mode,
    onSinkFailure: optional(fc.constantFrom('allow' as const, 'deny' as const)),
  }),
}

type Sections = Omit<PolicyInput, '$schema' | 'appId' | 'name' | 'expect'>

const allSections: fc.Arbitrary<Sections> = written(
  fc.record(
    Object.fromEntries(
      Object.entries(sections).map(([name, section]) => [
        name,
        optional(written(section as fc.Arbitrary<object>), 9),
      ]),
    ),
  ) as fc.Arbitrary<Sections>,
)

const expiries = fc.constantFrom(
  undefined,
  undefined,
  '2029-06-01T00:00:00Z',
  '2029-06-01T00:00:00.001Z',
  '2029-05-31T23:59:59Z',
  '2030-01-01T00:00:00+02:00',
)

const entry: fc.Arbitrary<ListEntry> = fc
  .record({ range: fc.constantFrom(...RANGES), expires: expiries })
  .map(({ range, expires }) => (expires === undefined ? { range } : { range, expires }))

const contents: fc.Arbitrary<Lists> = fc
  .tuple(optional(fc.array(entry, { maxLength: 4 }), 6), optional(fc.array(entry, { maxLength: 4 }), 3))
  .map(([office, partners]) => {
    const lists = new Map<string, readonly ListEntry[]>()
    if (office !== undefined) lists.set('office', office)
    if (partners !== undefined) lists.set('partners', partners)
    return lists
  })

/** The second policy is a different one, or the first one with some members replaced. */
export const pairs: fc.Arbitrary<Pair> = fc
  .record({
    one: allSections,
    other: allSections,
    // Which members of a section come from the other policy.
    taken: fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
    how: fc.constantFrom('other', 'members', 'members', 'members', 'same', 'nothing'),
    lists: fc.tuple(contents, contents),
    sameLists: fc.boolean(),
    turned: fc.boolean(),
  })
  .map(({ one, other, taken, how, lists, sameLists, turned }) => {
    const before = { appId: 'a', ...one }
    const after = how === 'nothing' ? undefined : { appId: 'a', ...mixed(one, other, taken, how) }
    const [first, second] = turned ? [after, before] : [before, after]
    return { before: first, after: second, lists: sameLists ? ([lists[0], lists[0]] as const) : lists }
  })

function mixed(one: Sections, other: Sections, taken: readonly boolean[], how: string): Sections {
  if (how !== 'members') return how === 'other' ? other : one
  let index = 0
  const take = (): boolean => taken[index++ % taken.length] === true
  const both = new Set([...Object.keys(one), ...Object.keys(other)]) as Set<keyof Sections>
  return Object.fromEntries(
    [...both].flatMap((name) => {
      const [mine, others] = [one[name], other[name]]
      if (mine === undefined || others === undefined) {
        const section = take() ? mine : others
        return section === undefined ? [] : [[name, section]]
      }
      const members = new Set([...Object.keys(mine), ...Object.keys(others)])
      const section = Object.fromEntries(
        [...members].flatMap((member) => {
          const value = Reflect.get(take() && take() ? others : mine, member) as unknown
          return value === undefined ? [] : [[member, grown(value, take)]]
        }),
      )
      if (Array.isArray(section['domains']) && section['domains'].includes('null'))
        delete section['credentials']
      return [[name, section]]
    }),
  )
}

/** Removes some entries of a list. */
function grown(value: unknown, take: () => boolean): unknown {
  return Array.isArray(value) && take() ? value.filter(() => !(take() && take())) : value
}
