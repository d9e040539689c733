/**
 * Measures how much CPU time a stranger's request can cost: the worst time per kilobyte of every parser that reads a
 * request, with inputs made to be slow, of 4, 8 and 16 KiB. Run it with `npm run bench:parsers`.
 *
 * The reference is SHA-256 of as many bytes in the same run. Exits with 1 if a parser exceeds its limit relative to the
 * reference, or takes more than three times as long per kilobyte for 16 KiB as for 4 KiB.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { GuardRequest } from '../src/http/handler.ts'
import { appIdFrom } from '../src/http/request/app-id.ts'
import { NodeFacts } from '../src/http/request/facts.ts'
import { readBodyParameter, readQueryParameter } from '../src/http/request/parameters.ts'
import { compileClientAddress } from '../src/match/client-address.ts'
import { parseIp } from '../src/match/ip.ts'
import { parseOrigin } from '../src/match/origin.ts'
import { parseReturnUrl } from '../src/match/return-url.ts'
import { digestProblem } from '../src/signature/digest.ts'
import { httpMessageSignatures } from '../src/signature/http-message-signatures.ts'
import { parseAppKeys } from '../src/signature/keys.ts'
import type { SignedMessage } from '../src/signature/verify.ts'
import { atMost, header, line, told, type Row } from './store/table.ts'

const KEYS = parseAppKeys([
  { id: 'key-1', algorithm: 'hmac-sha256', secret: randomBytes(32).toString('base64') },
])
const RULES = { maxAge: 300, requireDigest: true, requireContentType: true }
const REQUIRED = '"@method" "@authority" "@path" "@query"'
const PARAMETERS = ';created=1700000000;keyid="key-9";nonce="nonce-of-16-char"'
const MAC = `sig1=:${Buffer.alloc(32).toString('base64')}:`

const scheme = httpMessageSignatures()

/** Everything that `serverOnly` does with an invalid signature, including the search for the signer's mistake. */
function refuse(message: SignedMessage): void {
  const context = { appId: '', keys: KEYS, rules: RULES, now: 1_700_000_000_000 }
  const answer = scheme.verify(message, context)
  if (answer.ok) throw new Error('a forged signature was accepted')
  scheme.diagnose?.(message, context, { signedBase: undefined, thorough: false })
  scheme.challenge?.(message)
}

function requestOf(target: string, headers: readonly (readonly [string, string])[]): GuardRequest {
  return {
    method: 'GET',
    url: target,
    originalUrl: target,
    protocol: 'https',
    headers: Object.fromEntries([['host', 'gateway.example'], ...headers]),
    rawHeaders: [['host', 'gateway.example'], ...headers].flat(),
    socket: { remoteAddress: '127.0.0.1' },
  } as unknown as GuardRequest
}

function refuseRequest(target: string, components: string, headers: [string, string][] = []): void {
  const input = `sig1=(${REQUIRED}${components})${PARAMETERS}`
  refuse(
    new NodeFacts(requestOf(target, [...headers, ['signature-input', input], ['signature', MAC]])).message(),
  )
}

const many = (count: number, part: (index: number) => string, separator = ''): string =>
  Array.from({ length: Math.max(0, Math.floor(count)) }, (_, index) => part(index)).join(separator)

const filled = (size: number, part: string): string =>
  part.repeat(Math.ceil(size / part.length)).slice(0, size)

const readers = {
  list: compileClientAddress({ trustedProxies: ['loopback'], header: 'x-forwarded-for' }, 'option'),
  forwarded: compileClientAddress({ trustedProxies: ['loopback'], header: 'forwarded' }, 'option'),
}
const keyIdReader = appIdFrom({ keyId: (id) => id })
const queryReader = appIdFrom({ query: 'app' })

const JSON_TYPE = 'application/json'
const FORM_TYPE = 'application/x-www-form-urlencoded'
const bodyOf = (text: string) => ({ kind: 'bytes', bytes: Buffer.from(text) }) as const

/** Creates the work for a header section or a body of about this many bytes. */
type Case = readonly [parser: string, shape: string, make: (size: number) => () => unknown]

const CASES: readonly Case[] = [
  ...[28, 100, 400].map((count): Case => [
    'signature',
    `${count} query parameters covered, a query of one-letter names`,
    (size) => {
      const components = many(Math.min(count, size / 30), (at) => ` "@query-param";name="q${at}"`)
      const target = `/?${many((size - components.length) / 5, (at) => `q${at}=`, '&')}`
      return () => refuseRequest(target, components)
    },
  ]),
  ...['&', 'a&', '%E4%BD%A0', 'q=%21'].map((part): Case => [
    'signature',
    `28 query parameters covered, a query of ${JSON.stringify(part)}`,
    (size) => {
      const components = many(28, (at) => ` "@query-param";name="q${at}"`)
      const names = many(28, (at) => `q${at}=1&`)
      const target = `/?${names}${filled(size - 1500, part).replace(/%.?$/, '')}`
      return () => refuseRequest(target, components)
    },
  ]),
  ...['a, ', '"a",', 'a=1;b, ', '%"a",', 'a;b;c;d;e,', '(a b c d), ', ':AA==:,'].map((part): Case => [
    'signature',
    `28 times a structured header of ${JSON.stringify(part)}`,
    (size) => {
      const components = many(28, (at) => ` "x";key="k${at}"`)
      const members = many(28, (at) => `k${at}=1, `)
      const text = `${members}${many((size - 1500) / (part.length + 5), (at) => `m${at}=${part}`)}z=1`
      return () => refuseRequest('/', components, [['x', text]])
    },
  ]),
  [
    'signature',
    'one header as `;sf`, `;bs`, plain and `;key`',
    (size) => {
      const text = many(size / 8, (at) => `k${at}="x"`, ', ')
      return () => refuseRequest('/', ' "x" "x";sf "x";bs "x";key="k1"', [['x', text]])
    },
  ],
  [
    'signature',
    '28 headers among a thousand lines',
    (size) => {
      const components = many(28, (at) => ` "x${at + 100}"`)
      const lines = Array.from(
        { length: Math.min(990, (size - 800) / 6) },
        (_, at) => [`x${at + 100}`, ''] as [string, string],
      )
      return () => refuseRequest('/', components, lines)
    },
  ],
  [
    'signature',
    'one header of a thousand lines, 5 ways',
    (size) => {
      const lines = Array.from({ length: Math.min(990, size / 6) }, () => ['x', 'a=1'] as [string, string])
      return () => refuseRequest('/', ' "x" "x";bs "x";sf', lines)
    },
  ],
  ...['%', '%2', '%2525', '/.', '/', '%E4%BD%A0'].map((part): Case => [
    'signature',
    `a path of ${JSON.stringify(part)}`,
    (size) => {
      const target = `/${filled(size, part)}`
      return () => refuseRequest(target, ' "@request-target" "@target-uri"')
    },
  ]),
  ...(
    [
      ['unknown parameters', (size) => `sig1=(${REQUIRED});${many(size / 7, (at) => `p${at}=1`, ';')}`],
      ['display strings', (size) => `sig1=(${REQUIRED});${many(size / 9, (at) => `p${at}=%""`, ';')}`],
      ['labels', (size) => many(size / 9, (at) => `s${at}=()`, ',')],
      ['labels of display strings', (size) => many(size / 9, (at) => `s${at}=%"%c3%a9"`, ',')],
      [
        'four labels',
        (size) =>
          many(4, (at) => `s${at}=(${many(size / 28, (each) => `"h${each}"`, ' ')})${PARAMETERS}`, ','),
      ],
      ['components', (size) => `sig1=(${many(size / 7, (at) => `"h${at}"`, ' ')})${PARAMETERS}`],
      ['component parameters', (size) => `sig1=("a"${many(size / 6, (at) => `;p${at}`)})${PARAMETERS}`],
      ['escapes', (size) => `sig1=("a");tag="${filled(size, '\\"')}"${PARAMETERS}`],
      ['blanks', (size) => `sig1=(${' '.repeat(size)})${PARAMETERS}`],
      ['a string that does not end', (size) => `sig1=("${'a'.repeat(size)}`],
      ['commas', (size) => ','.repeat(size)],
      ['brackets', (size) => `sig1=${'('.repeat(size)}`],
      ['dates', (size) => many(size / 5, (at) => `s${at}=@1`, ',')],
      ['one long key', (size) => 'a'.repeat(size)],
      ['one long token', (size) => `sig1=${'A'.repeat(size)}`],
    ] as readonly (readonly [string, (size: number) => string])[]
  ).flatMap(([shape, make]): Case[] => [
    [
      'Signature-Input',
      shape,
      (size) => {
        const message = new NodeFacts(
          requestOf('/', [
            ['signature-input', make(size)],
            ['signature', MAC],
          ]),
        ).message()
        return () => refuse(message)
      },
    ],
    [
      'Signature',
      shape,
      (size) => {
        const input = `sig1=(${REQUIRED})${PARAMETERS}`
        const message = new NodeFacts(
          requestOf('/', [
            ['signature-input', input],
            ['signature', make(size)],
          ]),
        ).message()
        return () => refuse(message)
      },
    ],
    [
      'Content-Digest',
      shape,
      (size) => {
        const text = make(size)
        return () => digestProblem([text], { kind: 'none' })
      },
    ],
    [
      'appIdFrom({ keyId })',
      shape,
      (size) => {
        const request = requestOf('/', [
          ['signature-input', make(size)],
          ['signature', MAC],
        ])
        return () => keyIdReader(request)
      },
    ],
  ]),
  ...['&', 'a=1&', '%41=1&', 'a[=&', '+&', 'app=1&', 'next=%25&'].flatMap((part): Case[] => [
    [
      'query parameter',
      JSON.stringify(part),
      (size) => {
        const text = `/?${filled(size, part)}`
        return () => readQueryParameter(text, 'next')
      },
    ],
    [
      'appIdFrom({ query })',
      JSON.stringify(part),
      (size) => {
        const request = requestOf(`/?${filled(size, part)}`, [])
        return () => queryReader(request)
      },
    ],
    [
      'form body',
      JSON.stringify(part),
      (size) => {
        const body = bodyOf(filled(size, part))
        return () => readBodyParameter(body, FORM_TYPE, ['next', 'url'])
      },
    ],
  ]),
  ...(
    [
      ['members', (size) => `{${many(size / 8, (at) => `"${at}":1`, ',')}}`],
      ['repeated members', (size) => `{${many(size / 6, () => '"a":1', ',')}}`],
      ['arrays in arrays', (size) => `${'['.repeat(size / 2)}${']'.repeat(size / 2)}`],
      ['objects in objects', (size) => `${'{"a":'.repeat(size / 6)}1${'}'.repeat(size / 6)}`],
      ['escapes', (size) => `{"${filled(size - (size % 6), '\\u0061')}":1}`],
      ['escaped names', (size) => `{${many(size / 14, () => '"\\u0061":1', ',')}}`],
      ['blanks', (size) => `{"a"${' '.repeat(size)}:1}`],
      ['blanks after strings', (size) => `["a"${many(size / 8, () => ',"a"    ')}]`],
      ['nothing that ends', (size) => `{"a":"${'a'.repeat(size)}`],
    ] as readonly (readonly [string, (size: number) => string])[]
  ).map(([shape, make]): Case => [
    'JSON body',
    shape,
    (size) => {
      const body = bodyOf(make(size))
      return () => readBodyParameter(body, JSON_TYPE, ['a', 'a', 'b'])
    },
  ]),
  ...['127.0.0.1,', ',', ' ,', '1,', '::1,', `${' '.repeat(60)}1,`].map((part): Case => [
    'X-Forwarded-For',
    JSON.stringify(part),
    (size) => {
      const text = filled(size, part)
      return () => readers.list.read('127.0.0.1', [text])
    },
  ]),
  ...['for=127.0.0.1,', ',', ';', 'for="[::1]:1",', 'for="\\\\', 'a=b;', 'a="'].map((part): Case => [
    'Forwarded',
    JSON.stringify(part),
    (size) => {
      const text = filled(size, part)
      return () => readers.forwarded.read('127.0.0.1', [text])
    },
  ]),
  ...['a', 'a.', '-', 'xn--', '1.', ':', '[', '@', '%41'].map((part): Case => [
    'origin',
    JSON.stringify(part),
    (size) => {
      const text = `https://${filled(size, part)}`
      return () => parseOrigin(text)
    },
  ]),
  ...['a', 'a.', 'xn--', '1.'].map((part): Case => [
    'origin of 512 characters',
    JSON.stringify(part),
    () => {
      const text = `https://${filled(500, part)}`
      return () => parseOrigin(text)
    },
  ]),
  ...['%25', '%2525', '%', '/.', '/..;', '%E4%BD%A0', '%EF%BC%8E', '%61', ';', 'a'].flatMap(
    (part): Case[] => [
      [
        'return URL',
        JSON.stringify(part),
        (size) => {
          const text = `https://shop.example/${filled(size, part)}`
          return () => parseReturnUrl(text)
        },
      ],
      [
        'return URL of 2,048 characters',
        JSON.stringify(part),
        () => {
          const text = `https://shop.example/${filled(2020, part)}`.replace(/%.?$/, '')
          return () => parseReturnUrl(text)
        },
      ],
    ],
  ),
  ...['1', '1.', '0:', ':', 'f'].map((part): Case => [
    'address',
    JSON.stringify(part),
    (size) => {
      const text = filled(size, part)
      return () => parseIp(text)
    },
  ]),
  ...['a', '.', ':', '[', '%'].map((part): Case => [
    'Host',
    JSON.stringify(part),
    (size) => {
      const text = filled(size, part)
      const request = {
        ...requestOf('/', []),
        rawHeaders: ['host', text, 'signature-input', `sig1=(${REQUIRED})${PARAMETERS}`, 'signature', MAC],
      }
      return () => {
        refuse(new NodeFacts(request as GuardRequest).message())
        return new NodeFacts(request as GuardRequest).ownOrigin
      }
    },
  ]),
]

/**
 * The limit relative to the reference, which is written in C. A parser in JavaScript needs this much per character,
 * with a margin.
 */
const MOST_OF_YARDSTICK = 600
/** The limit for the time per kilobyte of 16 KiB, relative to 4 KiB. It is constant for linear parsers. */
const MOST_GROWTH = 3
const SIZES = [4096, 8192, 16_384]
const ROUNDS = 5
/** The minimum CPU time before the measurement, in milliseconds. */
const WARM_UP = 10

/**
 * The CPU time of one call in milliseconds, after its code was compiled. The fastest round counts, because other
 * processes only add time.
 */
function measure(call: () => unknown): number {
  let calls = 1
  let spent = 0
  for (;;) {
    const took = time(call, calls)
    spent += took
    if (spent > WARM_UP && (took > 1 || calls > 10_000)) break
    if (took < 1) calls *= 2
  }
  return Math.min(...Array.from({ length: ROUNDS }, () => time(call, calls))) / calls
}

function time(call: () => unknown, calls: number): number {
  const before = process.cpuUsage()
  for (let count = 0; count < calls; count += 1) call()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

// Runs every case once, so that all code is compiled before the measurement.
for (const [, , make] of CASES) measure(make(8192))

const worst = new Map<string, { perKilobyte: number; shape: string; size: number; growth: number }>()
for (const [parser, shape, make] of CASES) {
  const times = SIZES.map((size) => measure(make(size)) / (size / 1024))
  const growth = (times.at(-1) as number) / (times[0] as number)
  for (const [index, perKilobyte] of times.entries()) {
    const before = worst.get(parser)
    if (before === undefined || perKilobyte > before.perKilobyte)
      worst.set(parser, {
        perKilobyte,
        shape,
        size: SIZES[index] as number,
        growth: Math.max(growth, before?.growth ?? 0),
      })
    else if (growth > before.growth) before.growth = growth
  }
}
const bytes = randomBytes(16_384)
const yardstick = measure(() => createHash('sha256').update(bytes).digest()) / 16

const rows: Row[] = [told('reference: SHA-256 of a kilobyte', `${yardstick.toFixed(5)} ms`)]
for (const [parser, { perKilobyte, shape, size, growth }] of worst) {
  rows.push(told(`${parser}: worst time per kilobyte`, `${perKilobyte.toFixed(5)} ms`))
  rows.push(
    atMost(
      `  ${shape}, ${size} bytes: relative to the reference`,
      perKilobyte / yardstick,
      MOST_OF_YARDSTICK,
    ),
  )
  rows.push(atMost('  time per kilobyte of 16 KiB, relative to 4 KiB', growth, MOST_GROWTH))
}
console.log(`Node ${process.version}\n\n${header}`)
for (const row of rows) console.log(line(row))
process.exitCode = rows.every(({ ok }) => ok !== false) ? 0 : 1
