import type { AskedLists } from './judging-policies.ts'
import type { OperationEvent } from '../audit/event.ts'
import type { JudgedSealer } from '../audit/judged-facts.ts'
import type { KeptFacts } from '../guards/kept-facts.ts'

/** The stored facts of one request. */
export interface Kept {
  readonly facts: readonly KeptFacts[]
  readonly lists: AskedLists
}

/**
 * Opens the stored facts of a recorded request. `not recorded`: none were stored. `sealed`: the key is missing or a different
 * one.
 */
export function openKept(
  { judged, appId = '', requestId, time }: OperationEvent,
  sealer: JudgedSealer,
): Kept | 'not recorded' | 'sealed' {
  if (judged === undefined) return 'not recorded'
  const text = sealer.open(judged, { appId, requestId, time })
  if (text === undefined) return 'sealed'
  const { kept, lists } = JSON.parse(text) as {
    readonly kept: readonly (KeptFacts | null)[]
    readonly lists: Kept['lists']
  }
  return { facts: kept.filter((each) => each !== null), lists }
}

/** What is known about the caller and the request. This is personal data. */
export interface RecordedCall {
  /** The client address as text. */
  readonly address?: string | undefined
  readonly origin?: string | undefined
  readonly xOrigin?: string | undefined
  readonly returnUrl?: string | undefined
  readonly here?: string | undefined
}

/** Reads from the stored facts what identifies a call to a person. */
export function callOf({ facts }: Kept): RecordedCall {
  const told = (guard: KeptFacts['guard']): Readonly<Record<string, unknown>> =>
    Object(facts.find((kept) => kept.guard === guard)?.facts) as Record<string, unknown>
  const origins = told('domainProtect')
  const named = told('returnUrlGuard')['named']
  const first: unknown = Array.isArray(named) ? (Object(named[0]) as { value?: unknown }).value : undefined
  return Object.fromEntries(
    Object.entries({
      address: told('ipWhitelist')['address'],
      origin: origins['origin'],
      xOrigin: origins['xOrigin'],
      returnUrl: first,
      here: told('regionPin')['here'],
    }).filter(([, value]) => typeof value === 'string' && value !== ''),
  )
}
