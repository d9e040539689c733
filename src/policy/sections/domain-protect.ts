import * as z from 'zod/mini'
import type { PolicyFinding } from '../../lint/finding.ts'
import { lintDomains } from '../../lint/origins.ts'
import { createOriginSet, type OriginSet } from '../../match/origin-set.ts'
import { parseOriginEntry, type OriginEntry } from '../../match/origin.ts'
import {
  LONGEST_MAX_AGE,
  MOST_CORS_NAMES,
  parseCorsMethod,
  parseRequestHeader,
  parseResponseHeader,
  type CorsSettings,
} from '../cors.ts'
import { byText, mode, readBy } from '../members.ts'
import { reused } from '../reused.ts'
import type { ListsOf, Protection, Section } from '../section.ts'

export interface DomainProtection extends Protection, CorsSettings {
  /** Origins that are admitted: `https://example.org`, `https://*.example.org`. An empty list admits none. */
  readonly domains: readonly string[]
  /**
   * What a request without evidence of a browser must show. `signed`: a signature that `serverOnly` accepts. `claim`: an
   * `X-Origin` header that names one of the domains, which any program can send. `none`: nothing. Default `claim`.
   */
  readonly server?: 'signed' | 'claim' | 'none' | undefined
}

export interface CompiledDomains extends Protection {
  readonly domains: OriginSet
  readonly server: NonNullable<DomainProtection['server']>
  readonly cors: CorsSettings
}

type Lists = ListsOf<'domains', OriginEntry>

const domains = () => z.pipe(z.array(z.string()), z.transform(readBy(byText(parseOriginEntry))))

const corsNames = (parse: typeof parseCorsMethod) =>
  z.pipe(z.array(z.string()).check(z.maxLength(MOST_CORS_NAMES)), z.transform(readBy(byText(parse))))

const NULL_WITH_CREDENTIALS =
  'must not be true while `null` is a domain: any website can have that origin, and could then read responses with the cookies of its visitors'

const schema = () =>
  z
    .strictObject({
      mode: mode(),
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
    )

export const DOMAIN_PROTECT: Section<DomainProtection, CompiledDomains, Lists> = {
  schema,
  compile: (section, { lists, before }) => ({
    mode: section.mode,
    domains: reused(before?.domains, section.domains, () => createOriginSet(lists.domains.entries)),
    server: section.server ?? 'claim',
    cors: corsOf(section),
  }),
  weigh: (section) => {
    const { methods = [], headers = [], exposedHeaders = [] } = section
    const texts = [...section.domains, ...methods, ...headers, ...exposedHeaders]
    return texts.reduce((weight, text) => weight + 56 + text.length, 0)
  },
}

/** Without the domains, whose texts are no longer needed. */
function corsOf({ methods, headers, exposedHeaders, credentials, maxAge }: CorsSettings): CorsSettings {
  return { methods, headers, exposedHeaders, credentials, maxAge }
}

export function lintDomainProtect(section: DomainProtection, read: Lists): PolicyFinding[] {
  return lintDomains(section, read.domains.placed)
}
