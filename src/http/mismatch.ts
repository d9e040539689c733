import { deny, type Decision } from '../decision.ts'
import type { Judgement } from '../guards/guard.ts'
import type { ServerFacts } from '../guards/server-only.ts'
import type { Expectation } from '../options.ts'
import type { DiagnosisOptions, Diagnosis } from '../signature/doctor.ts'
import { isSignatureRefusal, SIGNATURE_REFUSALS } from '../signature/refusals.ts'

// A flood of wrong signatures must not cause much work.
const MOST_A_SECOND = 20

export const ONLY_IN_DEVELOPMENT: Expectation = {
  expected: 'a boolean, and not true if NODE_ENV is `production`: it shows callers what was received',
  accepts: (value) => value === false || (value === true && process.env['NODE_ENV'] !== 'production'),
}

/** Finds out why signatures do not match: for operators always, for callers only in development. */
export interface MismatchDoctor {
  /** Returns the refusal with the findings in its evidence, and the diagnosis as its outcome. */
  examine(decision: Decision, facts: ServerFacts): Judgement<Diagnosis>
  /** The members that the problem document of this refusal has in development. */
  explain(decision: Decision, diagnosis: Diagnosis | undefined): Readonly<Record<string, unknown>> | undefined
}

export function mismatchDoctor(inDevelopment: boolean): MismatchDoctor {
  let second = 0
  let examined = 0

  function mayExamine(): boolean {
    const now = Math.floor(performance.now() / 1000)
    if (now !== second) [second, examined] = [now, 0]
    return inDevelopment || ++examined <= MOST_A_SECOND
  }

  return {
    examine(decision, facts) {
      const { code, evidence } = decision
      if (!isSignatureRefusal(code) || !SIGNATURE_REFUSALS[code].diagnosed) return { decision }
      const diagnosis = mayExamine() ? examine(facts, inDevelopment) : undefined
      if (diagnosis === undefined) return { decision }
      const { components, mistake } = diagnosis
      const told = deny('serverOnly', decision.mode, code, decision.detail, {
        ...evidence,
        ...(components.length > 0 && { components: components.join(', ') }),
        ...(mistake !== undefined && { mistake }),
      })
      return { decision: told, outcome: diagnosis }
    },
    explain(decision, diagnosis) {
      if (!inDevelopment) return undefined
      const { base, components, mistake, signedValue } = diagnosis ?? {}
      return { detail: decision.detail, signatureBase: base, components, mistake, signedValue }
    },
  }
}

function examine(
  { scheme, message, appId, keys, now }: ServerFacts,
  inDevelopment: boolean,
): Diagnosis | undefined {
  const options: DiagnosisOptions = {
    signedBase: inDevelopment ? readSignedBase(message.header('x-signature-base')) : undefined,
    thorough: inDevelopment,
  }
  try {
    return scheme.diagnose?.(message, { appId, keys, rules: NO_RULES, now }, options)
  } catch {
    // The diagnosis only explains the refusal, which stays in force without it.
    return undefined
  }
}

/** The signature base that the caller claims to have signed: base64, with or without the colons of a byte sequence (RFC 9651). */
function readSignedBase(lines: readonly string[]): string | undefined {
  const [line] = lines
  return line === undefined ? undefined : Buffer.from(line.replaceAll(':', ''), 'base64').toString()
}

const NO_RULES = { maxAge: 0, requireDigest: false, requireContentType: false }
