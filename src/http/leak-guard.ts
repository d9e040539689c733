import { findLeaks, type Leak } from '../audit/leaks.ts'
import type { RecordedSession, SealedRecord } from '../audit/session.ts'
import { UsageError } from '../errors.ts'
import { oneOf, type Expectation } from '../options.ts'
import type { GuardRequest, GuardResponse } from './handler.ts'
import { sentTexts } from './request/sent-texts.ts'
import { watchResponse } from './response/watched-response.ts'

/** What happens if a response contains a personal value that was not read through the audit. */
export type LeakGuard = 'stop' | 'report' | 'off'

export const LEAK_GUARD: Expectation = oneOf('what to do about a leak', ['stop', 'report', 'off'])

export const A_SHARE: Expectation = {
  expected: 'a share of the requests, from 0 to 1',
  accepts: (value) => typeof value === 'number' && value >= 0 && value <= 1,
}

/** The share of the requests that are checked in production. */
const USUAL_SHARE = 0.01

export interface LeakGuardSettings {
  readonly does: LeakGuard
  readonly share: number
}

/** Fills in the defaults: outside production every leak is stopped; in production leaks in a sample of requests are reported. */
export function leakGuardSettings(does: LeakGuard | undefined, share: number | undefined): LeakGuardSettings {
  const isProduction = process.env['NODE_ENV'] === 'production'
  return {
    does: does ?? (isProduction ? 'report' : 'stop'),
    share: share ?? (isProduction ? USUAL_SHARE : 1),
  }
}

/** The most sealed records of one request that are checked. */
const MOST_RECORDS = 10_000

/** Searches the response of one request for values of records that were sealed during the request. */
export class LeakWatch {
  readonly #req: GuardRequest
  readonly #res: GuardResponse
  readonly #does: LeakGuard
  readonly #session: () => RecordedSession
  readonly #sealed: SealedRecord[] = []

  constructor(req: GuardRequest, res: GuardResponse, does: LeakGuard, session: () => RecordedSession) {
    this.#req = req
    this.#res = res
    this.#does = does
    this.#session = session
  }

  add(sealed: SealedRecord): void {
    if (this.#sealed.length >= MOST_RECORDS) return
    this.#sealed.push(sealed)
    if (this.#sealed.length === 1) watchResponse(this.#res, (text) => this.#look(text))
  }

  #look(text: string): Error | undefined {
    const session = this.#session()
    const leaks = findLeaks(text, {
      sealed: this.#sealed,
      isRead: session.readsSoFar(),
      known: sentTexts(this.#req),
    })
    for (const { sealed, field } of leaks) session.leaked(sealed, field)
    const [first] = leaks
    return first === undefined || this.#does !== 'stop' ? undefined : leakError(first, leaks.length)
  }
}

function leakError({ sealed, field }: Leak, count: number): UsageError {
  const of = sealed.name === undefined ? '' : ` of the model \`${sealed.name}\``
  const more = count > 1 ? ` (and ${count - 1} more)` : ''
  return new UsageError(
    `the response has a value of the field \`${field}\`${of} that was not read through the audit${more}: ` +
      'use the result of `person()` or `rows()`, and do not keep a reference to the row itself',
  )
}
