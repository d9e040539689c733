import { EXIT, type ExitCode, type Invocation } from './command.ts'
import { paint, plain, show, type Colour } from './output.ts'
import { pageText } from './pages.ts'

/** The result of one check. A check that does not apply or could not be done is skipped with a reason; it has not passed. */
export interface Check {
  readonly id: string
  readonly status: 'pass' | 'warn' | 'fail' | 'skip'
  readonly detail: string
  /** How to fix it. */
  readonly fix?: string | undefined
  /** The page that explains it. */
  readonly docs?: string | undefined
}

/** The result of a check without its name. */
export type Finding = Omit<Check, 'id'>

export const pass = (detail: string): Finding => ({ status: 'pass', detail })
export const skip = (detail: string): Finding => ({ status: 'skip', detail })
export const warn = (detail: string, fix: string, docs?: string): Finding => ({
  status: 'warn',
  detail,
  fix,
  docs,
})
export const fail = (detail: string, fix: string, docs?: string): Finding => ({
  status: 'fail',
  detail,
  fix,
  docs,
})

const COLOURS: Readonly<Record<Check['status'], Colour>> = {
  pass: 'green',
  warn: 'yellow',
  fail: 'red',
  skip: 'dim',
}

/** Shows the results of the checks, and returns the exit code. */
export async function reportChecks(
  invocation: Invocation,
  checks: readonly Check[],
  isStrict = false,
): Promise<ExitCode> {
  const width = Math.max(...checks.map(({ id }) => id.length))
  const lines = checks.flatMap(({ id, status, detail, fix, docs }) => [
    `${paint(invocation, COLOURS[status], status)}  ${id.padEnd(width)}  ${plain(detail)}`,
    ...(fix === undefined
      ? []
      : [`      ${' '.repeat(width)}  ${plain(fix)}${docs === undefined ? '' : ` (${pageText(docs)})`}`]),
  ])
  const count = (status: Check['status']): number => checks.filter((check) => check.status === status).length
  const [passed, warned, failed, skipped] = [count('pass'), count('warn'), count('fail'), count('skip')]
  const isGood = failed === 0 && !(isStrict && warned > 0)
  await show(
    invocation,
    [...lines, `${passed} passed, ${warned} warned, ${failed} failed, ${skipped} skipped`],
    {
      good: isGood,
      checks,
    },
  )
  return isGood ? EXIT.ok : EXIT.no
}
