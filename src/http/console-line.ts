import type { GuardName, Mode, Refusal } from '../decision.ts'
import { helpFor } from '../errors.ts'
import type { Expectation } from '../options.ts'
import type { Callback } from './handler.ts'
import { KindLimit, type Admission } from './kind-limit.ts'
import { fixFor } from './remedies.ts'
import { lookAt, type Picture } from './nearest-entry.ts'
import { framesOf, printable, rootMessage } from './printable.ts'
import { callListener } from './request/ask-option.ts'
import type { RequestContext } from './request/context.ts'

/**
 * A refusal, described for the developer. No member contains a control character or a secret. If NODE_ENV is `production`,
 * `detail` and `nearest` are omitted, and the log then contains nothing about a policy, a person or a request.
 */
export interface RefusalLine {
  /** The whole message as one line; outside production, the stack frames of an error follow, one per line. */
  readonly message: string
  readonly requestId: string
  /** The app whose policy was applied; `undefined` if the request names no existing app. */
  readonly appId: string | undefined
  readonly guard: GuardName
  /** `report`: the request was not refused, but would be in `enforce`. */
  readonly mode: Mode
  readonly code: Refusal['code']
  /** Why it was refused. */
  readonly detail: string | undefined
  /** The entry of the policy that is nearest to the value in the request, and their difference. */
  readonly nearest: string | undefined
  /** How to fix it. */
  readonly fix: string
  /** Where the code is explained, relative to the root of the package: `docs/codes.md#address_not_allowed`. */
  readonly help: string
  /** The number of refusals of this kind that were not logged since the previous line of this kind. */
  readonly leftOut: number
}

/**
 * Receives refusals, including those that `report` mode lets pass. It is a function that receives the line with its parts, or an
 * object with a method `warn` that receives the message, such as `console` or a pino or winston logger. Each reason is logged
 * once a minute, and at most twenty reasons of a kind (app, guard, mode and code).
 *
 * Default: the console, or no logger if NODE_ENV is `production` or `test`. A logger that you pass is also called in production,
 * without the reason and the entry. A logger that fails does not change the response.
 */
export type RefusalLogger = Callback<[line: RefusalLine], unknown> | { warn(message: string): unknown }

export const A_LOGGER: Expectation = {
  expected: 'a function, or an object with a method `warn` such as `console`',
  accepts: (value) =>
    typeof value === 'function' ||
    (typeof value === 'object' && value !== null && 'warn' in value && typeof value.warn === 'function'),
}

/** Logs refusals for the developer. */
export interface RefusalLines {
  /** Never throws. If a fault caused the refusal, `fault` has the thrown value as `error`. */
  tell(refusal: Refusal, context: RequestContext, fault: object): void
}

/** One limit per logger, shared by all guards that use it. */
const limits = new WeakMap<object, KindLimit>()

const CONSOLE: RefusalLogger = { warn: (message) => console.warn(message) }

/**
 * Creates the refusal log of a mount. Without a logger it is the console, but `undefined` if NODE_ENV is `production` or `test`.
 */
export function refusalLines(logger: RefusalLogger | undefined): RefusalLines | undefined {
  const environment = process.env['NODE_ENV']
  const isProduction = environment === 'production'
  if (logger === undefined && (isProduction || environment === 'test')) return undefined
  const target = logger ?? CONSOLE
  const limit = limits.get(target) ?? new KindLimit()
  limits.set(target, limit)
  const write = (line: RefusalLine): unknown =>
    typeof target === 'function' ? target(line) : target.warn(line.message)
  const partsOf = isProduction ? briefParts : fullParts
  return {
    tell(refusal, context, fault) {
      // A failure while building the line must not change the response.
      callListener(() => {
        const { guard, mode, code } = refusal
        const kind = [context.appId ?? '', guard, mode, code].join(' ')
        let parts: Parts | undefined
        const admitted = limit.admit(kind, () => {
          parts = partsOf(refusal, context, fault)
          return [parts.fix, parts.detail, parts.nearest].join(' ')
        })
        return admitted && parts && write(lineOf(refusal, context, admitted, parts))
      })
    },
  }
}

/** Contains nothing about the policy, a person or the request. */
function briefParts({ code }: Refusal): Parts {
  return { fix: fixFor(code, undefined) }
}

function fullParts(refusal: Refusal, context: RequestContext, fault: { readonly error?: unknown }): Parts {
  const picture = pictureOf(refusal, context)
  const error = Object.hasOwn(fault, 'error') ? fault.error : undefined
  const detail = [printable(refusal.detail), ...picture.facts]
  const root = rootMessage(error)
  if (refusal.code === 'OPTION_FAILED' && root !== undefined) detail[0] += `: ${root}`
  else if (root !== undefined && root !== refusal.detail) detail.push(`because: ${root}`)
  return { detail: detail.join('; '), nearest: picture.nearest, fix: fixFor(refusal.code, picture), error }
}

/** Logs the refusal even if the request cannot be read, which may be the reason for the refusal. */
function pictureOf(refusal: Refusal, context: RequestContext): Picture {
  try {
    return lookAt(refusal, context)
  } catch {
    const { detail, evidence } = refusal
    const nothing = {
      nearest: undefined,
      differsIn: [],
      respelled: false,
      wildcard: false,
      facts: [],
      from: undefined,
    }
    return { detail, evidence, ...nothing, proxied: false }
  }
}

interface Parts {
  readonly detail?: string | undefined
  readonly nearest?: string | undefined
  readonly fix: string
  readonly error?: unknown
}

/** Part of each line: otherwise readers might conclude that there were no further refusals. */
const SILENCE = 'Further refusals of this kind are counted, not printed, for one minute.'
const SAME_AGAIN = 'The same refusal is counted, not printed, for one minute.'

function lineOf(
  { guard, mode, code }: Refusal,
  context: RequestContext,
  leftOut: Admission,
  { detail, nearest, fix, error }: Parts,
): RefusalLine {
  const requestId = printable(context.requestId)
  const { appId } = context
  const help = helpFor(code)
  const said = [
    `portcullis: ${guard} ${mode === 'report' ? 'would refuse' : 'refused'} request ${requestId}`,
    `${appId === undefined ? '' : ` of app \`${printable(appId)}\``}: ${code}`,
    detail === undefined ? '.' : `, ${detail}.`,
    nearest === undefined ? '' : ` Nearest entry: ${nearest}.`,
    ` To fix: ${fix} ${leftOut.isLast ? SILENCE : SAME_AGAIN} See portcullis/${help}`,
    leftOut.ofKind > 0 ? ` (${leftOut.ofKind} more of this kind ${wasOrWere(leftOut.ofKind)} left out)` : '',
    leftOut.ofOthers > 0
      ? ` (${leftOut.ofOthers} of other kinds ${wasOrWere(leftOut.ofOthers)} left out)`
      : '',
    ...framesOf(error),
  ]
  const message = said.join('')
  return {
    message,
    requestId,
    appId,
    guard,
    mode,
    code,
    detail,
    nearest,
    fix,
    help,
    leftOut: leftOut.ofKind,
  }
}

function wasOrWere(count: number): string {
  return count === 1 ? 'was' : 'were'
}
