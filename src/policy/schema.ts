import * as z from 'zod/mini'
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
): (values: Written[], payload: z.core.ParsePayload) => EntryList<Entry> {
  return (values, { issues }) =>
    readEntries(values, read, (index, { problem, ...more }) =>
      issues.push({ code: 'custom', input: values, message: problem, path: [index], params: more }),
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

const NAMES = z.array(z.string().check(z.regex(LIST_NAME_PATTERN, NAME_RULE)))
const LIST_NAMES = z.pipe(
  NAMES,
  z.transform(readBy((name: string) => ({ entry: name, written: name, meaning: name }))),
)
const RANGES = z.pipe(z.array(z.string()), z.transform(readBy(byText(parseIpRange))))
const DOMAINS = z.pipe(z.array(z.string()), z.transform(readBy(byText(parseOriginEntry))))

const corsNames = (parse: typeof parseCorsMethod) =>
  z.pipe(z.array(z.string()).check(z.maxLength(MOST_CORS_NAMES)), z.transform(readBy(byText(parse))))

const URL_ENTRY = z.union([z.string(), z.strictObject({ exact: z.string() })])
const URLS = z.pipe(
  z.array(URL_ENTRY),
  z.transform(
    readBy((value: z.output<typeof URL_ENTRY>) => {
      const entry = parseReturnUrlEntry(value)
      if (isProblem(entry)) return entry
      const { kind, text } = entry
      return { entry, written: kind === 'exact' ? { exact: text } : text, meaning: `${kind} ${text}` }
    }),
  ),
)

const NULL_WITH_CREDENTIALS =
  'must not be true while `null` is a domain: any website can have that origin, and could then read with the cookies of its visitors'

/** The shape of a policy document. Every object is strict: an unknown key is refused. */
export const POLICY_SCHEMA = z.strictObject({
  appId: z.string().check(z.regex(APP_ID_PATTERN, NAME_RULE)),
  name: z.optional(z.string().check(z.minLength(1), z.maxLength(200))),
  serverOnly: z.optional(
    z.strictObject({
      mode: MODE,
      maxAge: z._default(z.int().check(z.gte(1), z.lte(3600)), 300),
      requireDigest: z._default(z.boolean(), true),
      requireContentType: z._default(z.boolean(), true),
    }),
  ),
  ipWhitelist: z.optional(
    z.strictObject({
      mode: MODE,
      ranges: z.prefault(RANGES, []),
      deny: z.prefault(RANGES, []),
      lists: z.prefault(LIST_NAMES, []),
      denyLists: z.optional(LIST_NAMES),
    }),
  ),
  domainProtect: z.optional(
    z
      .strictObject({
        mode: MODE,
        domains: z.prefault(DOMAINS, []),
        methods: z.optional(corsNames(parseCorsMethod)),
        headers: z.optional(corsNames(parseRequestHeader)),
        exposedHeaders: z.optional(corsNames(parseResponseHeader)),
        credentials: z.optional(z.boolean()),
        maxAge: z.optional(z.int().check(z.gte(0), z.lte(LONGEST_MAX_AGE))),
        server: z.optional(z.enum(['signed', 'claim', 'none'])),
      })
      .check(
        z.superRefine((section, context) => {
          const admitsNull = section.domains.entries.some(({ text }) => text === 'null')
          if (admitsNull && Object.hasOwn(section, 'credentials') && section.credentials === true)
            context.addIssue({ code: 'custom', message: NULL_WITH_CREDENTIALS, path: ['credentials'] })
        }),
      ),
  ),
  returnUrlGuard: z.optional(z.strictObject({ mode: MODE, urls: z.prefault(URLS, []) })),
  regionPin: z.optional(
    z.strictObject({
      mode: MODE,
      onMisdirected: z._default(z.enum(['reject', 'redirect', 'handOver']), 'reject'),
      fallback: z.optional(z.string().check(z.minLength(1), z.maxLength(64))),
    }),
  ),
  auditAccess: z.optional(
    z.strictObject({ mode: MODE, onSinkFailure: z._default(z.enum(['deny', 'allow']), 'deny') }),
  ),
})

/** The keys of a policy (under the empty name) and of each of its sections. */
export const KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['', Object.keys(POLICY_SCHEMA.shape)],
  ...Object.entries(POLICY_SCHEMA.shape).flatMap(([name, member]): [string, string[]][] => {
    const section: unknown = member instanceof z.ZodMiniOptional ? member.def.innerType : member
    return section instanceof z.ZodMiniObject ? [[name, Object.keys(section.shape)]] : []
  }),
])
