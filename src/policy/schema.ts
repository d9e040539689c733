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

const modes = () => z.enum(['enforce', 'report', 'off'])

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

const listNames = () =>
  z.pipe(
    z.array(z.string().check(z.regex(LIST_NAME_PATTERN, NAME_RULE))),
    z.transform(readBy((name: string) => ({ entry: name, written: name, meaning: name }))),
  )
const ranges = () => z.pipe(z.array(z.string()), z.transform(readBy(byText(parseIpRange))))
const domains = () => z.pipe(z.array(z.string()), z.transform(readBy(byText(parseOriginEntry))))

const corsNames = (parse: typeof parseCorsMethod) =>
  z.pipe(z.array(z.string()).check(z.maxLength(MOST_CORS_NAMES)), z.transform(readBy(byText(parse))))

const urlEntry = () => z.union([z.string(), z.strictObject({ exact: z.string() })])
const urls = () =>
  z.pipe(
    z.array(urlEntry()),
    z.transform(
      readBy((value: z.output<ReturnType<typeof urlEntry>>) => {
        const entry = parseReturnUrlEntry(value)
        if (isProblem(entry)) return entry
        const { kind, text } = entry
        return { entry, written: kind === 'exact' ? { exact: text } : text, meaning: `${kind} ${text}` }
      }),
    ),
  )

const NULL_WITH_CREDENTIALS =
  'must not be true while `null` is a domain: any website can have that origin, and could then read with the cookies of its visitors'

const makeSchema = () =>
  z.strictObject({
    appId: z.string().check(z.regex(APP_ID_PATTERN, NAME_RULE)),
    name: z.optional(z.string().check(z.minLength(1), z.maxLength(200))),
    serverOnly: z.optional(
      z.strictObject({
        mode: modes(),
        maxAge: z.prefault(z.int().check(z.gte(1), z.lte(3600)), 300),
        requireDigest: z.prefault(z.boolean(), true),
        requireContentType: z.prefault(z.boolean(), true),
      }),
    ),
    ipWhitelist: z.optional(
      z.strictObject({
        mode: modes(),
        ranges: z.prefault(ranges(), []),
        deny: z.prefault(ranges(), []),
        lists: z.prefault(listNames(), []),
        denyLists: z.optional(listNames()),
      }),
    ),
    domainProtect: z.optional(
      z
        .strictObject({
          mode: modes(),
          domains: z.prefault(domains(), []),
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
    returnUrlGuard: z.optional(z.strictObject({ mode: modes(), urls: z.prefault(urls(), []) })),
    regionPin: z.optional(
      z.strictObject({
        mode: modes(),
        onMisdirected: z.prefault(z.enum(['reject', 'redirect', 'handOver']), 'reject'),
        fallback: z.optional(z.string().check(z.minLength(1), z.maxLength(64))),
      }),
    ),
    auditAccess: z.optional(
      z.strictObject({ mode: modes(), onSinkFailure: z.prefault(z.enum(['deny', 'allow']), 'deny') }),
    ),
  })

export type PolicySchema = ReturnType<typeof makeSchema>

export interface PolicyShape {
  /** Every object is strict: an unknown key is refused. */
  readonly schema: PolicySchema
  /** The keys of a policy (under the empty name) and of each of its sections. */
  readonly keys: ReadonlyMap<string, readonly string[]>
}

let shape: PolicyShape | undefined

/** The shape of a policy document. It is made when the first policy is read: every start would wait for it. */
export function policyShape(): PolicyShape {
  if (shape === undefined) {
    const schema = makeSchema()
    shape = { schema, keys: keysOf(schema) }
  }
  return shape
}

function keysOf({ shape }: PolicySchema): PolicyShape['keys'] {
  return new Map([
    ['', Object.keys(shape)],
    ...Object.entries(shape).flatMap(([name, member]): [string, string[]][] => {
      const section: unknown = member instanceof z.ZodMiniOptional ? member.def.innerType : member
      return section instanceof z.ZodMiniObject ? [[name, Object.keys(section.shape)]] : []
    }),
  ])
}
