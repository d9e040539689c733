import { z } from 'zod'
import { APP_ID_PATTERN, LIST_NAME_PATTERN, NAME_RULE } from '../names.ts'
import { withAsciiHost } from '../match/idn.ts'
import { parseIpRange } from '../match/ip.ts'
import { parseOriginEntry } from '../match/origin.ts'
import type { Problem } from '../match/problem.ts'
import { parseReturnUrlEntry } from '../match/return-url.ts'
import {
  LONGEST_MAX_AGE,
  MOST_CORS_NAMES,
  parseCorsMethod,
  parseRequestHeader,
  parseResponseHeader,
} from './cors.ts'

const MODE = z.enum(['enforce', 'report', 'off'])

/** A list whose entries are read by a parser of `match/`, each refused or canonical, none meant twice. */
function listOf<Entry extends z.ZodType>(
  entry: Entry,
  canonicalise: (value: z.output<Entry>) => Problem | { readonly canonical: string },
) {
  return z.array(entry).superRefine((values, context) => {
    const seen = new Map<string, number>()
    for (const [index, value] of values.entries()) {
      const result = canonicalise(value)
      if ('problem' in result) {
        report(context, index, result)
        continue
      }
      const first = seen.get(result.canonical)
      if (first === undefined) seen.set(result.canonical, index)
      else report(context, index, { problem: `means the same as entry ${first}` })
    }
  })
}

function report(context: z.core.$RefinementCtx, index: number, { problem, corrected }: Problem): void {
  context.addIssue({ code: 'custom', message: problem, path: [index], params: { corrected } })
}

const LIST_NAMES = listOf(z.string().regex(LIST_NAME_PATTERN, NAME_RULE), (name) => ({ canonical: name }))

const RANGES = listOf(z.string(), (text) => {
  const range = parseIpRange(text)
  return 'problem' in range ? range : { canonical: range.text }
})

const DOMAINS = listOf(z.string(), (text) => {
  const entry = parseOriginEntry(text)
  return 'problem' in entry ? entry : { canonical: entry.text }
}).transform((texts) => texts.map(withAsciiHost))

const METHODS = listOf(z.string(), parseCorsMethod).max(MOST_CORS_NAMES)
const REQUEST_HEADERS = listOf(z.string(), parseRequestHeader).max(MOST_CORS_NAMES)
const RESPONSE_HEADERS = listOf(z.string(), parseResponseHeader).max(MOST_CORS_NAMES)

const URLS = listOf(z.union([z.string(), z.strictObject({ exact: z.string() })]), (text) => {
  const entry = parseReturnUrlEntry(text)
  return 'problem' in entry ? entry : { canonical: `${entry.kind} ${entry.text}` }
}).transform((urls) =>
  urls.map((url) => (typeof url === 'string' ? withAsciiHost(url) : { exact: withAsciiHost(url.exact) })),
)

const NULL_WITH_CREDENTIALS =
  'must not be true while `null` is a domain: any website can have that origin, and would read with the cookies of its visitors'

/** The shape of a policy document. Every object is strict: a key that we do not know is refused. */
export const POLICY_SCHEMA = z.strictObject({
  appId: z.string().regex(APP_ID_PATTERN, NAME_RULE),
  name: z.string().min(1).max(200).optional(),
  serverOnly: z
    .strictObject({
      mode: MODE,
      maxAge: z.int().min(1).max(3600).default(300),
      requireDigest: z.boolean().default(true),
      requireContentType: z.boolean().default(true),
    })
    .optional(),
  ipWhitelist: z
    .strictObject({
      mode: MODE,
      ranges: RANGES.default([]),
      deny: RANGES.default([]),
      lists: LIST_NAMES.default([]),
      denyLists: LIST_NAMES.optional(),
    })
    .optional(),
  domainProtect: z
    .strictObject({
      mode: MODE,
      domains: DOMAINS.default([]),
      methods: METHODS.optional(),
      headers: REQUEST_HEADERS.optional(),
      exposedHeaders: RESPONSE_HEADERS.optional(),
      credentials: z.boolean().optional(),
      maxAge: z.int().min(0).max(LONGEST_MAX_AGE).optional(),
    })
    .superRefine(({ domains, credentials }, context) => {
      if (credentials === true && domains.includes('null'))
        context.addIssue({ code: 'custom', message: NULL_WITH_CREDENTIALS, path: ['credentials'] })
    })
    .optional(),
  returnUrlGuard: z.strictObject({ mode: MODE, urls: URLS.default([]) }).optional(),
  regionPin: z
    .strictObject({
      mode: MODE,
      onMisdirected: z.enum(['reject', 'redirect', 'handOver']).default('reject'),
      fallback: z.string().min(1).max(64).optional(),
    })
    .optional(),
  auditAccess: z
    .strictObject({ mode: MODE, onSinkFailure: z.enum(['deny', 'allow']).default('deny') })
    .optional(),
})
