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
 * Tells the developer about a refusal. No member contains a control character or a secret. If NODE_ENV is `production`, `detail`
 * and `nearest` are left out, so that a log contains nothing about a policy, a person or a request.
 */
export interface RefusalLine {
  /** The whole message as one line; outside production, the stack frames of an error follow, one per line. */
  readonly message: string
  readonly requestId: string
  /** The app by whose policy the guard decided; `undefined` where the request names none that exists. */
  readonly appId: string | undefined
  readonly guard: GuardName
  /** `report`: the request was not refused, and would be in `enforce`. */
  readonly mode: Mode
  readonly code: Refusal['code']
  /** Why it was refused. */
  readonly detail: string | undefined
  /** The entry of the policy that is nearest to what the request names, and in what they differ. */
  readonly nearest: string | undefined
  /** How to fix it. */
  readonly fix: string
  /** Where the code is explained, relative to the root of the package: `docs/codes.md#address_not_allowed`. */
  readonly help: string
  /** How many refusals of this kind were left out since the last line about one. */
  readonly leftOut: number
}

/**
 * Told of refusals, also of those that `report` mode has let pass: each reason once a minute, and at most five of a kind (app,
 * guard, mode and code): a function that is given the line with its parts, or an object with a method `warn` that is given the message, such as
 * `console` or a logger of pino or winston.
 *
 * Left out: the console is told, and where NODE_ENV is `production` or `test` nobody. One that is given is told in
 * production too, and there without the reason and the entry. Whatever it does changes no answer.
 */
export type RefusalLogger = Callback<[line: RefusalLine], unknown> | { warn(message: string): unknown }

export const A_LOGGER: Expectation = {
  expected: 'a function, or an object with a method `warn` such as `console`',
  accepts: (value) =>
    typeof value === 'function' ||
    (typeof value === 'object' && value !== null && 'warn' in value && typeof value.warn === 'function'),
}

/** Tells refusals to the developer. */
export interface RefusalLines {
  /** Never throws. `fault` may have an `error`: what was thrown where a fault has brought the refusal about. */
  tell(refusal: Refusal, context: RequestContext, fault: object): void
}

/** One limit for each logger, whatever number of guards has it. */
const limits = new WeakMap<object, KindLimit>()

const CONSOLE: RefusalLogger = { warn: (message) => console.warn(message) }

/**
 * Makes the lines of a mount. Without a logger they go to the console, and `undefined` says that nothing is told: where
 * NODE_ENV is `production`, or `test`.
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
      // Whatever fails in the search for the remedy changes no answer.
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

/** Nothing of the policy, of a person or of what the caller wrote. */
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

/** A refusal is told even where the request cannot be looked at, which may be why it was refused. */
function pictureOf(refusal: Refusal, context: RequestContext): Picture {
  try {
    return lookAt(refusal, context)
  } catch {
    const { detail, evidence } = refusal
    const nothing = { nearest: undefined, differsIn: [], wildcard: false, facts: [], from: undefined }
    return { detail, evidence, ...nothing, proxied: false }
  }
}

interface Parts {
  readonly detail?: string | undefined
  readonly nearest?: string | undefined
  readonly fix: string
  readonly error?: unknown
}

/** Said in each line, so that nobody takes silence for a refusal less. */
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
    leftOut.ofKind > 0 ? ` (${leftOut.ofKind} more of this kind were left out)` : '',
    leftOut.ofOthers > 0 ? ` (${leftOut.ofOthers} of other kinds were left out)` : '',
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
