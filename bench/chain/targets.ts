/**
 * The targets, as data. Each is a ratio to a reference measured in the same run, or an amount that does not depend on
 * the speed of the machine.
 */
import type { Figures } from './figures.ts'

export interface TargetRow {
  /** The name of the target in the issues. */
  readonly id: string
  readonly what: string
  /** The name of the result. */
  readonly of: string
  /** The name of the result by which it is divided. */
  readonly over?: string
  readonly atLeast?: number
  readonly atMost?: number
  /** The major version of Node to which the target applies. Default: all. */
  readonly node?: number
}

export interface Verdict extends TargetRow {
  readonly measured: number
  readonly met: boolean
}

export const named = {
  chain: (name: string): string => `chain: ${name}`,
  allocated: (name: string): string => `allocated: ${name}`,
  promises: (name: string): string => `promises: ${name}`,
  importCpu: 'import: CPU',
  bundle: (guard: string): string => `bundle: ${guard}`,
} as const

const REFUSALS = ['unsigned', 'wrong address', 'wrong origin', 'wrong return URL', 'unknown app']
const GUARDS = [
  'auditAccess',
  'regionPin',
  'ipWhitelist',
  'domainProtect',
  'serverOnly',
  'returnUrlGuard',
] as const
export const BUNDLED: readonly string[] = GUARDS

export const targets: readonly TargetRow[] = [
  { id: 'P1', what: 'six guards / bare Express', of: 'protect()', atLeast: 0.65, node: 20 },
  { id: 'P1', what: 'six guards / bare Express', of: 'protect()', atLeast: 0.6, node: 24 },
  { id: 'P1', what: 'six guards / pino-http', of: 'protect()', over: 'pino-http', atLeast: 1, node: 20 },
  // The audit of the guards includes logging, so the stack has a logger.
  {
    id: 'P2',
    what: 'six guards / glued stack with Redis and pino-http',
    of: 'protect()',
    over: 'glued stack, Redis, pino-http',
    atLeast: 3,
  },
  ...REFUSALS.map((kind) => ({
    id: 'P3',
    what: `refusal / bare answer: ${kind}`,
    of: `refusal: ${kind}`,
    atLeast: 1.1,
  })),
  ...REFUSALS.map((kind) => ({
    id: 'P3',
    what: `refusal in front of Express / bare answer: ${kind}`,
    of: `refusal in front: ${kind}`,
    atLeast: 2.5,
  })),
  {
    id: 'P4',
    what: 'four unsigned, no audit / helmet',
    of: named.chain('four, unsigned, no audit'),
    atMost: 1,
    node: 24,
  },
  { id: 'P4', what: 'six signed / helmet', of: named.chain('six, signed'), atMost: 2.5, node: 24 },
  { id: 'P8', what: 'KiB above bare Express', of: named.allocated('protect()'), atMost: 8 },
  { id: 'P8', what: 'promises per request', of: named.promises('protect()'), atMost: 0 },
  { id: 'import', what: "CPU / Express's", of: named.importCpu, atMost: 1 },
  ...GUARDS.map((guard) => ({
    id: 'bundle',
    what: `KiB of ${guard}, createPolicySource and memoryStore`,
    of: named.bundle(guard),
    atMost: 350,
  })),
]

/** The targets that apply to this version of Node and whose results were measured. */
export function verdicts(figures: Figures, major: number): readonly Verdict[] {
  return targets.flatMap((target) => {
    if (target.node !== undefined && target.node !== major) return []
    const figure = figures.get(target.of)?.median
    const yardstick = target.over === undefined ? 1 : figures.get(target.over)?.median
    if (figure === undefined || yardstick === undefined) return []
    const measured = figure / yardstick
    const { atLeast = -Infinity, atMost = Infinity } = target
    return [{ ...target, measured, met: measured >= atLeast && measured <= atMost }]
  })
}
