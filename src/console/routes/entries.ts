import * as z from 'zod/mini'
import { isPortcullisError, type PolicyError, type PolicyIssue } from '../../errors.ts'
import type { PolicyFinding } from '../../lint/finding.ts'
import { lintPolicy } from '../../policy/lint.ts'
import type { EntryList } from '../../match/entries.ts'
import { parsePolicy, readPolicy } from '../../policy/parse.ts'
import type { ReadSections } from '../../policy/sections.ts'
import type { EntryVerdict, EntryVerdicts } from '../contract.ts'
import { findApp, type Desk } from '../desk.ts'
import { ConsoleProblem } from '../problems.ts'
import { route, type Route } from '../route.ts'
import { splitPaste } from '../split-paste.ts'

/** Lists of a policy that accept pasted entries. */
const LISTS = {
  'ipWhitelist.ranges': ['ipWhitelist', 'ranges'],
  'ipWhitelist.deny': ['ipWhitelist', 'deny'],
  'domainProtect.domains': ['domainProtect', 'domains'],
  'returnUrlGuard.urls': ['returnUrlGuard', 'urls'],
} as const

type ListPath = keyof typeof LISTS

/** How many entries one paste may have. */
const MOST = 20_000

export function entryRoutes(desk: Desk): Route[] {
  return [
    route<{ list: ListPath; text: string; exact?: boolean }>({
      method: 'POST',
      path: '/apps/:appId/entries',
      access: ['look'],
      summary: 'Judges pasted entries one by one, as if they were in a list of the draft. Changes nothing.',
      body: () =>
        z.strictObject({
          list: z.enum(Object.keys(LISTS) as [ListPath, ...ListPath[]]),
          text: z.string(),
          exact: z.optional(z.boolean()),
        }),
      async handle({ params: { appId = '' }, body: { list, text, exact } }) {
        const { policy } = await findApp(desk, appId)
        const { policy: shown } = (await desk.drafts.find(appId)) ?? { policy }
        const pieces = splitPaste(text)
        if (pieces.length > MOST)
          throw new ConsoleProblem('DOCUMENT_REFUSED', { detail: `paste at most ${MOST} entries at once` })
        const [section, member] = LISTS[list]
        const there = ((shown[section] as Record<string, unknown> | undefined)?.[member] ?? []) as unknown[]
        return { body: judgeEntries(list, pieces, there, exact === true) }
      },
    }),
  ]
}

/** What a policy would say to each of these entries, next to those that are there. */
export function judgeEntries(
  list: ListPath,
  pieces: readonly string[],
  there: readonly unknown[],
  exact: boolean,
): EntryVerdicts {
  const [section, member] = LISTS[list]
  const documentOf = (entries: readonly unknown[]): object => ({
    appId: 'judged',
    [section]: { mode: 'enforce', [member]: entries },
  })
  const written = (text: string): unknown => (list === 'returnUrlGuard.urls' ? writtenUrl(text, exact) : text)
  const refusals = refusalsOf(documentOf(pieces.map(written)), list)
  const good = pieces.map((text, index) => ({ text, index })).filter(({ index }) => !refusals.has(index))
  /** The findings for new entries, by their indices in `entries`. */
  const judge = (entries: readonly { text: string }[]): ReadonlyMap<number, PolicyFinding> => {
    const all = [...there, ...entries.map(({ text }) => written(text))]
    const found = findingsOf(documentOf(all), list, there.length)
    return new Map([...found].map(([place, finding]) => [place, named(finding, member, all)]))
  }
  const findings = judge(good)
  // Whoever leaves out a doubtful entry still needs those that it would cover.
  const sound = good.filter(
    (_entry, place) => (findings.get(place)?.code ?? 'entry-swallowed') === 'entry-swallowed',
  )
  const amongSound = sound.length === good.length ? findings : judge(sound)
  const placesOfSound = new Map(sound.map((entry, place) => [entry, place]))
  const findingOf = (place: number): PolicyFinding | undefined => {
    const placeOfSound = placesOfSound.get(good[place] as (typeof good)[number])
    return placeOfSound === undefined ? findings.get(place) : amongSound.get(placeOfSound)
  }
  const verdicts = pieces.map((text, index): EntryVerdict => {
    const refusal = refusals.get(index)
    return refusal === undefined
      ? { text, verdict: 'good' }
      : { text, verdict: 'refused', message: refusal.message, corrected: refusal.corrected }
  })
  const canonical = canonicalForms(documentOf(good.map(({ text }) => written(text))), section, member)
  for (const [place, { text, index }] of good.entries())
    verdicts[index] = { text, canonical: canonical.get(place), ...judged(findingOf(place)) }
  return {
    entries: verdicts,
    good: verdicts.filter(({ verdict }) => verdict === 'good' || verdict === 'doubtful').length,
    refused: refusals.size,
  }
}

/** The list is not visible next to the paste, so a finding names the entry itself instead of its index. */
function named(found: PolicyFinding, member: string, entries: readonly unknown[]): PolicyFinding {
  const message = found.message.replace(
    /`(?:\w+\.)?(\w+)\[(\d+)\]`/g,
    (whole, name: string, index: string) => {
      const entry = name === member ? entries[Number(index)] : undefined
      return entry === undefined ? whole : `\`${wordsOf(entry)}\``
    },
  )
  return { ...found, message }
}

/** A return URL as a policy has it. One that is copied from a policy can have the form `{ "exact": … }`. */
function writtenUrl(text: string, exact: boolean): unknown {
  if (text.startsWith('{')) {
    try {
      return JSON.parse(text)
    } catch {
      // The policy parser refuses it.
    }
  }
  return exact ? { exact: text } : text
}

function wordsOf(entry: unknown): string {
  const { exact } = Object(entry) as { exact?: unknown }
  return typeof exact === 'string' ? exact : String(entry)
}

function judged(found: PolicyFinding | undefined): Pick<EntryVerdict, 'verdict' | 'message'> {
  if (found === undefined) return { verdict: 'good' }
  return { verdict: isKnown(found) ? 'known' : 'doubtful', message: found.message }
}

const isKnown = ({ code }: PolicyFinding): boolean => code === 'entry-duplicate' || code === 'entry-swallowed'

function refusalsOf(document: object, list: ListPath): ReadonlyMap<number, PolicyIssue> {
  try {
    parsePolicy(document)
    return new Map()
  } catch (error) {
    if (!isPortcullisError(error) || error.code !== 'POLICY_INVALID') throw error
    const issues = (error as PolicyError).issues.map((issue) => [indexIn(issue.path, list), issue] as const)
    return new Map(issues.filter(([index]) => index !== undefined) as [number, PolicyIssue][])
  }
}

/** One finding for each new entry: that it already exists, or otherwise the first one. */
function findingsOf(document: object, list: ListPath, there: number): ReadonlyMap<number, PolicyFinding> {
  const found = new Map<number, PolicyFinding>()
  for (const finding of lintPolicy(document)) {
    const index = indexIn(finding.path, list)
    if (index === undefined || index < there) continue
    if (!found.has(index - there) || isKnown(finding)) found.set(index - there, finding)
  }
  return found
}

function indexIn(path: string, list: ListPath): number | undefined {
  if (!path.startsWith(`${list}[`)) return undefined
  const index = Number.parseInt(path.slice(list.length + 1), 10)
  return Number.isSafeInteger(index) ? index : undefined
}

/** The stored form of each entry, by its index. */
function canonicalForms(
  document: object,
  section: keyof ReadSections,
  member: string,
): ReadonlyMap<number, unknown> {
  const lists = (readPolicy(document).lists[section] ?? {}) as Readonly<Record<string, EntryList<unknown>>>
  const { placed = [], duplicates = [] } = lists[member] ?? {}
  const forms = new Map(placed.map(({ index, written }) => [index, written]))
  for (const { index, first } of duplicates) forms.set(index, forms.get(first))
  return forms
}
