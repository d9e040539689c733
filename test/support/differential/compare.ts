import type { Decision } from 'portcullis'
import type { AuditEvent } from 'portcullis/audit'
import type { GeneratedRequest } from './requests.ts'
import type { Observed } from './side.ts'
import type { WireAnswer } from './wire.ts'

/** Everything that one side did with a request. */
export interface Result extends Observed {
  readonly answer: WireAnswer
}

export interface Comparison {
  /** Empty if both sides did the same, or what the rules require. */
  readonly differences: readonly string[]
  /** The documented differences that occurred. */
  readonly rules: readonly string[]
}

/** The results of both sides for a request. */
export interface Results {
  /** Single mounts. */
  readonly single: Result
  /** `protect()`. */
  readonly chained: Result
  /** `serverOnly` by itself, only for apps that do not exist. */
  readonly alone: Result | undefined
}

export function compare(request: GeneratedRequest, { single, chained, alone }: Results): Comparison {
  const pair: Pair = {
    request,
    single: plain(single),
    chained: plain(chained),
    alone: alone && plain(alone),
  }
  const rules: string[] = evenDiagnoses(pair.single, pair.chained) ? [DIAGNOSES] : []
  const broken: string[] = []
  for (const { name, applies, hold } of RULES) {
    if (!applies(pair)) continue
    rules.push(name)
    broken.push(...hold(pair).map((text) => `${name}: ${text}`))
    if (pair.done === true) return { differences: broken, rules }
  }
  return { differences: [...broken, ...differences(pair.single, pair.chained)], rules }
}

/** A result as comparable values. Rules remove permitted differences from both. */
interface Plain {
  answer: { status: number; headers: string[]; body: string; whole: boolean }
  trail: Decision[]
  told: string[]
  reported: string[]
  events: object[]
  reached: boolean
}

interface Pair {
  readonly request: GeneratedRequest
  readonly single: Plain
  readonly chained: Plain
  readonly alone: Plain | undefined
  /** Whether a rule has already decided the comparison. */
  done?: boolean
}

function plain({ answer, trail, told, reported, events, reached }: Result): Plain {
  const headers = answer.headers
    .filter(([name]) => name !== 'date')
    .map(([name, value]) => `${name}: ${name === 'retry-after' ? delay(value) : value}`)
  const { status, body, whole } = answer
  return {
    answer: { status, headers, body, whole },
    trail: [...trail],
    told: [...told],
    reported: [...reported],
    events: events.map(eventOf),
    reached,
  }
}

/** The Retry-After of a 503 is random between one and five seconds. */
function delay(value: string): string {
  return /^[1-5]$/.test(value) ? 'one to five seconds' : value
}

/** Removes the id and the time of an event. Both sides have the same request id, which the caller sent. */
function eventOf(event: AuditEvent): object {
  const { id, time, ...rest } = event
  return { ...rest, named: typeof id === 'string' && typeof time === 'string' }
}

function differences(single: Plain, chained: Plain, name = 'single mounts'): string[] {
  const found: string[] = []
  const differ = (what: string, one: unknown, other: unknown): void => {
    const [text, otherText] = [JSON.stringify(one), JSON.stringify(other)]
    if (text !== otherText) found.push(`${what}\n  ${name}: ${text}\n  protect():     ${otherText}`)
  }
  differ('status', single.answer.status, chained.answer.status)
  differ('headers', single.answer.headers, chained.answer.headers)
  differ('body', single.answer.body, chained.answer.body)
  differ('whole answer', single.answer.whole, chained.answer.whole)
  differ('handler reached', single.reached, chained.reached)
  differ('decisions', single.trail, chained.trail)
  differ('onDecision', single.told, chained.told)
  differ('onReport', single.reported, chained.reported)
  differ('events', single.events, chained.events)
  return found
}

interface RuleRow {
  readonly name: string
  readonly applies: (pair: Pair) => boolean
  /** Returns the problems, and removes permitted differences from both sides. */
  readonly hold: (pair: Pair) => string[]
}

const DIAGNOSES = 'a diagnosis that one side has left out'

/** The members of the evidence that come from a diagnosis. */
const DIAGNOSED = ['components', 'mistake']

/**
 * Each mount diagnoses at most 20 invalid signatures per second. The seconds begin at the same moment on both sides,
 * but not with the same requests. If only one side has a diagnosis, it is removed.
 */
function evenDiagnoses(one: Plain, other: Plain): boolean {
  const isDiagnosed = ({ evidence }: Decision): boolean => DIAGNOSED.some((name) => name in evidence)
  const found = one.trail.find(isOf('serverOnly'))
  const otherFound = other.trail.find(isOf('serverOnly'))
  if (found?.effect !== 'deny' || otherFound?.effect !== 'deny') return false
  if (isDiagnosed(found) === isDiagnosed(otherFound)) return false
  for (const side of [one, other]) changeDecisions(side, (decisions) => decisions.map(undiagnosed))
  return true
}

function undiagnosed(decision: Decision): Decision {
  if (decision.guard !== 'serverOnly') return decision
  const others = Object.entries(decision.evidence).filter(([name]) => !DIAGNOSED.includes(name))
  return { ...decision, evidence: Object.fromEntries(others) }
}

/** Changes the compared decisions, in the trail and in the events. */
function changeDecisions(side: Plain, change: (decisions: readonly Decision[]) => Decision[]): void {
  side.trail = change(side.trail)
  side.events = side.events.map((event) => {
    const { decisions } = event as { decisions?: Decision[] }
    return decisions === undefined ? event : { ...event, decisions: change(decisions) }
  })
}

const isOf = (guard: string) => (decision: Decision) => decision.guard === guard

/** Expectations about a pair, with the message if one is not met. */
function expecting(expectations: Readonly<Record<string, boolean>>): string[] {
  return Object.entries(expectations).flatMap(([text, holds]) => (holds ? [] : [`it is not so that ${text}`]))
}

/**
 * An app that does not exist. A single guard answers APP_UNKNOWN. `protect()` must not reveal that the app does not
 * exist, so from the first guard on it answers as for a wrong signature. The expected answer is that of `serverOnly` by
 * itself.
 */
const STRANGER: RuleRow = {
  name: 'an app that does not exist',
  applies: ({ single }) => single.trail[0]?.code === 'APP_UNKNOWN',
  hold(pair) {
    pair.done = true
    const { single, chained, alone } = pair
    const [decision] = chained.trail
    if (alone === undefined) return ['the request was not sent to `serverOnly` alone']
    evenDiagnoses(alone, chained)
    return [
      ...expecting({
        'single mounts end with the first guard': single.trail.length === 1 && !single.reached,
        'protect() ends with one decision of serverOnly': chained.trail.length === 1 && !chained.reached,
        'it is a refusal for a lack of proof':
          decision?.effect === 'deny' && /^(?:SIGNATURE_|BROWSER_NOT|DIGEST_)/.test(decision.code),
        'operators are told of the cause': decision?.evidence['cause'] === 'APP_UNKNOWN',
        'both are in the audit, as one refusal': [single, chained].every(
          ({ events }) => events.length === 1 && (events[0] as { outcome?: string }).outcome === 'refused',
        ),
      }),
      // Every refusal of a chain varies by origin. `serverOnly` by itself has no other guards and no audit.
      ...differences(
        { ...alone, events: chained.events },
        { ...chained, answer: without(chained.answer, 'vary') },
        'serverOnly',
      ),
    ]
  },
}

/**
 * `domainProtect.server: "signed"`. A single guard knows about a signature only if `serverOnly` runs before it.
 * `protect()` knows that `serverOnly` follows and enforces, and lets it decide.
 */
const SIGNED: RuleRow = {
  name: 'a server that must sign, and serverOnly behind domainProtect',
  applies({ request, single, chained }) {
    const [one, other] = [single, chained].map(({ trail }) => trail.find(isOf('domainProtect')))
    const { domainProtect, serverOnly } = (request.app?.policy ?? {}) as Record<
      string,
      Record<string, unknown>
    >
    return (
      domainProtect?.['server'] === 'signed' &&
      serverOnly?.['mode'] === 'enforce' &&
      one?.code === 'ORIGIN_REQUIRED' &&
      other?.evidence['case'] === 'signed'
    )
  },
  hold(pair) {
    const { single, chained } = pair
    const isReport = single.trail.find(isOf('domainProtect'))?.mode === 'report'
    const proven = chained.trail.some(
      ({ guard, mode, code }) => guard === 'serverOnly' && mode === 'enforce' && code === 'ALLOWED',
    )
    const at = single.trail.findIndex(isOf('domainProtect'))
    const broken = expecting({
      'no handler is reached without a signature': proven || !chained.reached,
      'the decisions before are the same':
        JSON.stringify(single.trail.slice(0, at)) === JSON.stringify(chained.trail.slice(0, at)),
      'the single mount refuses, or reports': isReport || (single.trail.length === at + 1 && !single.reached),
    })
    if (isReport) for (const side of [single, chained]) leaveOut(side, 'domainProtect')
    else pair.done = true
    return broken
  },
}

/**
 * A refusal while the policy is unknown. A single guard cannot know that `domainProtect` follows, whose answers vary by
 * origin. `protect()` knows it, and sends `Vary`.
 */
const VARIES: RuleRow = {
  name: 'Vary of a refusal without a policy',
  applies: ({ single, chained }) =>
    lacksPolicy(single.trail.at(-1)) && !names(single, 'vary') && names(chained, 'vary'),
  hold({ chained }) {
    const vary = chained.answer.headers.find((line) => line.startsWith('vary: '))
    chained.answer = without(chained.answer, 'vary')
    return expecting({ 'Vary names the origin': vary?.startsWith('vary: Origin') === true })
  },
}

/**
 * An error of a parser before the audit, if the app id is in the body. The single mounts do not reach their audit.
 * `protect()` starts its audit first.
 */
const UNHEARD: RuleRow = {
  name: 'an error of a parser ahead of the audit',
  applies: ({ single, chained }) =>
    single.trail.length === 0 && chained.trail.length === 0 && single.events.length === 0,
  hold({ chained }) {
    const [event] = chained.events as { kind?: string; outcome?: string; status?: number }[]
    const broken = expecting({
      'protect() has recorded one operation': chained.events.length === 1 && event?.kind === 'operation',
      'it was answered by the error handler': event?.outcome === 'answered' && !chained.reached,
      'the status is the one that was sent':
        event?.status === chained.answer.status && [400, 413, 415].includes(chained.answer.status),
    })
    chained.events = []
    return broken
  },
}

function lacksPolicy(decision: Decision | undefined): boolean {
  return (
    decision !== undefined &&
    ['APP_UNIDENTIFIED', 'POLICY_UNAVAILABLE', 'OPTION_FAILED'].includes(decision.code)
  )
}

const names = ({ answer }: Plain, header: string): boolean =>
  answer.headers.some((line) => line.startsWith(`${header}: `))

function without(answer: Plain['answer'], header: string): Plain['answer'] {
  return { ...answer, headers: answer.headers.filter((line) => !line.startsWith(`${header}: `)) }
}

/** Removes all decisions of a guard from the comparison. */
function leaveOut(side: Plain, guard: string): void {
  changeDecisions(side, (decisions) => decisions.filter((decision) => decision.guard !== guard))
  side.told = side.told.filter((text) => !text.startsWith(`${guard} `))
  side.reported = side.reported.filter((text) => !text.startsWith(`${guard} `))
}

const RULES: readonly RuleRow[] = [STRANGER, SIGNED, VARIES, UNHEARD]

/** The documented differences. */
export const RULE_NAMES: readonly string[] = RULES.map(({ name }) => name)
