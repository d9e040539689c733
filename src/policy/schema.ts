import { z } from 'zod'
import { APP_ID_PATTERN, LIST_NAME_PATTERN, NAME_RULE } from '../names.ts'
import { parseIpRange } from '../match/ip.ts'
import { parseOriginEntry } from '../match/origin.ts'
import { isProblem, type Problem } from '../match/problem.ts'
import { parseReturnUrlEntry } from '../match/return-url.ts'
import {
  LONGEST_MAX_AGE,
  MOST_CORS_NAMES,
  parseCorsMethod,
  parseRequestHeader,
  parseResponseHeader,
} from './cors.ts'
import { readEntries, type EntryList, type ReadEntry } from './entries.ts'

const MODE = z.enum(['enforce', 'report', 'off'])

/** The entries of a list, each read by a parser of `match/`: refused, or in canonical form. */
function readBy<Written, Entry>(
  read: (value: Written) => Problem | ReadEntry<Entry>,
): (values: Written[], context: z.core.$RefinementCtx) => EntryList<Entry> {
  return (values, context) =>
    readEntries(values, read, (index, { problem, ...more }) =>
      context.addIssue({ code: 'custom', message: problem, path: [index], params: more }),
    )
}

/** An entry that is kept as its canonical text. */
function byText<Entry extends { readonly text: string }>(
  parse: (text: string) => Entry | Problem,
): (text: string) => Problem | ReadEntry<Entry> {
  return (text) => {
    const entry = parse(text)
    if (isProblem(entry)) return entry as Problem
    const { text: canonical } = entry
    return { entry, written: canonical, meaning: canonical }
  }
}

const NAMES = z.array(z.string().regex(LIST_NAME_PATTERN, NAME_RULE))
const LIST_NAMES = NAMES.transform(readBy((name: string) => ({ entry: name, written: name, meaning: name })))
const RANGES = z.array(z.string()).transform(readBy(byText(parseIpRange)))
const DOMAINS = z.array(z.string()).transform(readBy(byText(parseOriginEntry)))

const corsNames = (parse: typeof parseCorsMethod) =>
  z
    .array(z.string())
    .max(MOST_CORS_NAMES)
    .transform(readBy(byText(parse)))

const URL_ENTRY = z.union([z.string(), z.strictObject({ exact: z.string() })])
const URLS = z.array(URL_ENTRY).transform(
  readBy((value: z.output<typeof URL_ENTRY>) => {
    const entry = parseReturnUrlEntry(value)
    if (isProblem(entry)) return entry
    const { kind, text } = entry
    return { entry, written: kind === 'exact' ? { exact: text } : text, meaning: `${kind} ${text}` }
  }),
)

const NULL_WITH_CREDENTIALS =
  'must not be true while `null` is a domain: any website can have that origin, and could then read with the cookies of its visitors'

/** The shape of a policy document. Every object is strict: an unknown key is refused. */
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
      ranges: RANGES.prefault([]),
      deny: RANGES.prefault([]),
      lists: LIST_NAMES.prefault([]),
      denyLists: LIST_NAMES.optional(),
    })
    .optional(),
  domainProtect: z
    .strictObject({
      mode: MODE,
      domains: DOMAINS.prefault([]),
      methods: corsNames(parseCorsMethod).optional(),
      headers: corsNames(parseRequestHeader).optional(),
      exposedHeaders: corsNames(parseResponseHeader).optional(),
      credentials: z.boolean().optional(),
      maxAge: z.int().min(0).max(LONGEST_MAX_AGE).optional(),
      server: z.enum(['signed', 'claim', 'none']).optional(),
    })
    .superRefine((section, context) => {
      const admitsNull = section.domains.entries.some(({ text }) => text === 'null')
      if (admitsNull && Object.hasOwn(section, 'credentials') && section.credentials === true)
        context.addIssue({ code: 'custom', message: NULL_WITH_CREDENTIALS, path: ['credentials'] })
    })
    .optional(),
  returnUrlGuard: z.strictObject({ mode: MODE, urls: URLS.prefault([]) }).optional(),
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

/** The keys of a policy (under the empty name) and of each of its sections. */
export const KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['', Object.keys(POLICY_SCHEMA.shape)],
  ...Object.entries(POLICY_SCHEMA.shape).flatMap(([name, member]): [string, string[]][] => {
    const section: unknown = member instanceof z.ZodOptional ? member.unwrap() : member
    return section instanceof z.ZodObject ? [[name, Object.keys(section.shape)]] : []
  }),
])
