import { afterAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { GuardRequest } from '../../../src/http/handler.ts'
import { appIdFrom } from '../../../src/http/request/app-id.ts'
import { NodeFacts } from '../../../src/http/request/facts.ts'
import { readBodyParameter, readQueryParameter } from '../../../src/http/request/parameters.ts'
import { compileClientAddress } from '../../../src/match/client-address.ts'
import { parseOrigin } from '../../../src/match/origin.ts'
import { parseReturnUrl } from '../../../src/match/return-url.ts'
import { digestProblem } from '../../../src/signature/digest.ts'
import { httpMessageSignatures } from '../../../src/signature/http-message-signatures.ts'
import { MOST_TRIED_CHARACTERS } from '../../../src/signature/budget.ts'
import { createWorkMeter } from '../../support/work.ts'
import { KEYS, NOW, RULES } from './message.ts'

/** A request head that a stranger may send. */
interface Head {
  readonly target: string
  readonly lines: readonly (readonly [name: string, value: string])[]
}

const MAC = `:${Buffer.alloc(32).toString('base64')}:`
const PARAMETERS = ';created=1750000000;keyid="key-9";nonce="nonce-of-16-char"'
const REQUIRED = '"@method" "@authority" "@path" "@query"'

const scheme = httpMessageSignatures()
const keyIdReader = appIdFrom({ keyId: (id) => id })

function requestOf({ target, lines }: Head): GuardRequest {
  return {
    method: 'GET',
    url: target,
    originalUrl: target,
    protocol: 'https',
    headers: Object.fromEntries(lines),
    rawHeaders: lines.flat(),
    socket: { remoteAddress: '127.0.0.1' },
  } as unknown as GuardRequest
}

const context = { appId: '', keys: KEYS, rules: RULES, now: NOW }

/** The work of `serverOnly` for a head with a forged signature, as separate calls to measure. */
function partsOf(head: Head): { readonly verify: () => void; readonly diagnose: () => void } {
  const request = requestOf(head)
  const message = new NodeFacts(request).message()
  return {
    verify() {
      keyIdReader(request)
      expect(scheme.verify(message, context)).toMatchObject({ ok: false })
      scheme.challenge?.(message)
    },
    diagnose: () => scheme.diagnose?.(message, context, { signedBase: undefined, thorough: false }),
  }
}

/** The work for a head. Also checks the budget of the diagnosis. */
function workOf(head: Head): number {
  const { verify, diagnose } = partsOf(head)
  const limit = EVERY_REQUEST + MOST_PER_CHARACTER * charactersOf(head)
  const verifying = meter.measure(verify)
  expect(verifying).toBeLessThan(limit)
  // Each tried character is written, hashed and, during the search for its position, read.
  const diagnosing = meter.measure(diagnose)
  expect(diagnosing).toBeLessThan(limit + 4 * MOST_TRIED_CHARACTERS)
  return verifying
}

const meter = createWorkMeter()
afterAll(() => meter.close())

const charactersOf = ({ target, lines }: Head): number =>
  lines.reduce((sum, [name, value]) => sum + name.length + value.length + 4, target.length)

const many = (count: number, part: (index: number) => string, separator = ''): string =>
  Array.from({ length: Math.max(0, Math.floor(count)) }, (_, index) => part(index)).join(separator)

function headOf(target: string, components: string, lines: Head['lines'] = []): Head {
  const input = `sig1=(${REQUIRED}${components})${PARAMETERS}`
  return {
    target,
    lines: [['host', 'a.example'], ...lines, ['signature-input', input], ['signature', `sig1=${MAC}`]],
  }
}

/** The maximum number of blocks and characters per character of a head, and the fixed cost per request. */
const MOST_PER_CHARACTER = 40
const EVERY_REQUEST = 8_000

/** Heads by size, each of a kind that was or could be slow. */
const SHAPES: readonly (readonly [string, (size: number) => Head])[] = [
  [
    '28 query parameters covered',
    (size) =>
      headOf(
        `/?${many(size / 5, (at) => `q${at}=`, '&')}`,
        many(28, (at) => ` "@query-param";name="q${at}"`),
      ),
  ],
  [
    'as many query parameters covered as fit',
    (size) =>
      headOf(
        `/?${many(size / 30, (at) => `q${at}=`, '&')}`,
        many(size / 30, (at) => ` "@query-param";name="q${at}"`),
      ),
  ],
  [
    'one long query parameter covered',
    (size) => headOf(`/?q=${'%'.repeat(size)}`, ' "@query-param";name="q"'),
  ],
  ['nothing but ampersands', (size) => headOf(`/?${'&'.repeat(size)}`, ' "@query-param";name="q"')],
  [
    '28 members of one header',
    (size) =>
      headOf(
        '/',
        many(28, (at) => ` "x";key="k${at}"`),
        [['x', many(size / 8, (at) => `k${at}=abc`, ', ')]],
      ),
  ],
  [
    'one header in every form',
    (size) =>
      headOf('/', ' "x" "x";sf "x";bs "x";key="k1"', [['x', many(size / 8, (at) => `k${at}="a"`, ', ')]]),
  ],
  [
    '28 headers in every form',
    (size) =>
      headOf(
        '/',
        many(28, (at) => ` "x${at}";sf`),
        Array.from({ length: 28 }, (_, at) => [`x${at}`, many(size / 28 / 3, () => 'a', ', ')] as const),
      ),
  ],
  [
    '28 names among many lines',
    (size) =>
      headOf(
        '/',
        many(28, (at) => ` "x-${at}"`),
        Array.from({ length: size / 8 }, (_, at) => [`x-${at}`, ''] as const),
      ),
  ],
  [
    'one name of many lines',
    (size) =>
      headOf(
        '/',
        ' "x" "x";bs "x";sf',
        Array.from({ length: size / 5 }, () => ['x', '1'] as const),
      ),
  ],
  [
    'a long path in four forms',
    (size) => headOf(`/${'%41'.repeat(size / 3)}`, ' "@request-target" "@target-uri"'),
  ],
  [
    'a long host',
    (size) => ({
      ...headOf('/', ''),
      lines: [['host', 'a'.repeat(size)], ...headOf('/', '').lines.slice(1)],
    }),
  ],
  [
    'a long cookie covered',
    (size) => headOf('/', ' "cookie"', [['cookie', many(size / 4, () => 'a=b', ';')]]),
  ],
  [
    'blanks around a covered header',
    (size) => headOf('/', ' "x"', [['x', `${' '.repeat(size / 2)}a${' '.repeat(size / 2)}`]]),
  ],
  [
    'many components',
    (size) =>
      headOf(
        '/',
        many(size / 7, (at) => ` "h${at}"`),
      ),
  ],
  ['many parameters of a component', (size) => headOf('/', ` "h"${many(size / 4, (at) => `;p${at}`)}`)],
  ['blanks between components', (size) => headOf('/', `${' '.repeat(size)}"h"`)],
  ...[
    's=(),',
    's=1;a;b,',
    '%"%c3%a9",',
    '"\\"",',
    ':AA==:,',
    '(',
    '"',
    '\\',
    ';',
    ' ',
    'a',
    '@1,',
    '?1,',
    '-1.5,',
  ].flatMap((part): (readonly [string, (size: number) => Head])[] => [
    [
      `Signature-Input of ${part}`,
      (size) => ({
        target: '/',
        lines: [
          ['host', 'a'],
          ['signature-input', `s=("a")${part.repeat(size / part.length)}`],
          ['signature', `s=${MAC}`],
        ],
      }),
    ],
    [
      `Signature of ${part}`,
      (size) => ({
        target: '/',
        lines: [
          ['host', 'a'],
          ['signature-input', `s=(${REQUIRED})${PARAMETERS}`],
          ['signature', `s=${part.repeat(size / part.length)}`],
        ],
      }),
    ],
    [
      `a header of ${part}`,
      (size) => headOf('/', ' "x";sf "x";key="s"', [['x', part.repeat(size / part.length)]]),
    ],
  ]),
]

describe('the work for a forged signature', () => {
  it.each(SHAPES)('grows no faster than the head: %s', (_what, make) => {
    // A first call, for everything that is created on demand.
    const { verify, diagnose } = partsOf(make(64))
    verify()
    diagnose()
    let before: number | undefined
    for (const size of [1_000, 5_000, 30_000]) {
      const work = workOf(make(size))
      if (before !== undefined) expect(work).toBeLessThan(7 * before + EVERY_REQUEST)
      before = work
    }
  })

  it('grows no faster than the head, whatever it contains', () => {
    const text = fc.constantFrom(
      'a',
      'a=1',
      '"a"',
      ':AA==:',
      '%"a"',
      '(a b)',
      'a;b',
      '1.0',
      '%41',
      '+',
      '&',
      ' ',
      '\\',
      '"',
      '%',
    )
    const repeated = fc
      .tuple(
        fc.array(text, { minLength: 1, maxLength: 4 }),
        fc.constantFrom('', ',', ', ', '&', ';', ' '),
        fc.nat({ max: 600 }),
      )
      .map(([parts, separator, count]) => many(count, (at) => parts[at % parts.length] ?? '', separator))
    const component = fc.oneof(
      fc.constantFrom(
        '"@request-target"',
        '"@target-uri"',
        '"@scheme"',
        '"x"',
        '"y"',
        '"cookie"',
        '"x";sf',
        '"y";bs',
        '"y";sf',
        '"z"',
        '"z";sf',
      ),
      fc.nat({ max: 40 }).map((at) => `"@query-param";name="a${at}"`),
      fc.nat({ max: 40 }).map((at) => `"x";key="a${at}"`),
    )
    const signature = fc
      .tuple(
        fc.boolean(),
        fc.uniqueArray(component, { maxLength: 40 }),
        fc.oneof({ weight: 4, arbitrary: fc.constant('') }, repeated),
      )
      .map(
        ([required, components, more]) =>
          `(${required ? REQUIRED : ''} ${components.join(' ')})${PARAMETERS}${more}`,
      )
    const head = fc
      .record({
        query: fc.oneof(
          repeated,
          fc.nat({ max: 2000 }).map((count) => many(count, (at) => `a${at}=1`, '&')),
        ),
        signatures: fc.array(signature, { minLength: 1, maxLength: 6 }),
        headers: fc.array(fc.tuple(fc.constantFrom('x', 'y', 'z', 'cookie', 'content-type'), repeated), {
          maxLength: 12,
        }),
        fillers: fc.nat({ max: 1000 }),
      })
      .map(({ query, signatures, headers, fillers }): Head => ({
        target: `/${query === '' ? '' : `?${query}`}`.replace(/[ "\\]/g, ''),
        lines: [
          ['host', 'a.example'],
          ...headers,
          ...Array.from({ length: fillers }, (_, at) => [`f${at}`, ''] as const),
          ['signature-input', signatures.map((one, at) => `s${at}=${one}`).join(', ')],
          ['signature', signatures.map((_, at) => `s${at}=${MAC}`).join(', ')],
        ],
      }))
    let highest = 0
    fc.assert(
      fc.property(head, (one) => {
        highest = Math.max(highest, workOf(one) / charactersOf(one))
      }),
      { numRuns: 150 },
    )
    // Otherwise no head was read.
    expect(highest).toBeGreaterThan(1)
  })
})

describe('the work of every other parser that reads a request', () => {
  const list = compileClientAddress({ trustedProxies: ['loopback'], header: 'x-forwarded-for' }, 'option')
  const forwarded = compileClientAddress({ trustedProxies: ['loopback'], header: 'forwarded' }, 'option')
  const byQuery = appIdFrom({ query: 'app' })
  const bytes = (text: string) => ({ kind: 'bytes', bytes: Buffer.from(text) }) as const
  const filled = (part: string, size: number): string =>
    part.repeat(Math.ceil(size / part.length)).slice(0, size)

  const parsers: readonly (readonly [string, (text: string) => unknown, readonly string[]])[] = [
    [
      'a query parameter',
      (text) => readQueryParameter(`/?${text}`, 'next'),
      ['&', 'a=1&', '%41&', 'a[b]=&', '+&', 'next[=&', '%'],
    ],
    [
      'the app id in a query',
      (text) => byQuery(requestOf({ target: `/?${text}`, lines: [] })),
      ['&', 'a=1&', '%41&', 'app=&', '+'],
    ],
    [
      'a form body',
      (text) => readBodyParameter(bytes(text), 'application/x-www-form-urlencoded', ['a', 'b']),
      ['&', 'a=1&', '%41&', 'a[b&', ']', '['],
    ],
    [
      'a JSON body',
      (text) => readBodyParameter(bytes(`{"a":[${text}1]}`), 'application/json', ['a', 'b']),
      ['[', '1,', '"a",', '"\\u0061",', ' ', '{"a":1},', '{"a":', '"'],
    ],
    ['X-Forwarded-For', (text) => list.read('127.0.0.1', [text]), ['127.0.0.1,', ',', ' ', '::1,', '1', ':']],
    [
      'Forwarded',
      (text) => forwarded.read('127.0.0.1', [text]),
      ['for=127.0.0.1,', ',', ';', 'for="[::1]",', '"', '\\', 'a=b;', 'a'],
    ],
    [
      'a signature',
      (text) =>
        scheme.verify(
          new NodeFacts(
            requestOf({
              target: '/',
              lines: [
                ['signature-input', text],
                ['signature', text.slice(0, 200)],
              ],
            }),
          ).message(),
          context,
        ),
      ['"', '%"'],
    ],
    [
      'Content-Digest',
      (text) => digestProblem([text], { kind: 'none' }),
      ['a=:AA==:,', 'a,', '"', ';', '(', ' '],
    ],
    ['an origin', (text) => parseOrigin(`https://${text}`), ['a', 'a.', '-', '1.', ':', '[', '@']],
    [
      'a return URL',
      (text) => parseReturnUrl(`https://a.example/${text}`),
      ['%25', '%2525', '/.', '/..;', '%E4%BD%A0', '%61', 'a', '%'],
    ],
  ]
  const rows = parsers.flatMap(([name, read, parts]) => parts.map((part) => [name, part, read] as const))

  it.each(rows)('grows no faster than its text: %s of %j', (_name, part, read) => {
    read(filled(part, 64))
    for (const size of [500, 4_000, 64_000]) {
      const work = meter.measure(() => read(filled(part, size)))
      expect(work).toBeLessThan(EVERY_REQUEST + MOST_PER_CHARACTER * size)
    }
  })
})
