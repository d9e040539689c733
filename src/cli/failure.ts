import { isPortcullisError, isUnreadable, type PolicyError, type PolicyIssue } from '../errors.ts'
import {
  CommandDeniedError,
  CommandUsageError,
  EXIT,
  InterruptedError,
  NotFoundError,
  type CommandRow,
  type ExitCode,
  type Surroundings,
} from './command.ts'
import { plain } from './output.ts'

interface Failure {
  readonly exit: ExitCode
  readonly code: string
  readonly message: string
  /** What to do next. */
  readonly next?: string | undefined
  readonly issues?: readonly PolicyIssue[] | undefined
}

/** Writes to standard error why a command failed, and returns its exit code. */
export function failed(
  error: unknown,
  row: CommandRow,
  { error: write }: Surroundings,
  json: boolean,
): ExitCode {
  const { exit, code, message, next, issues } = failureOf(error, row)
  if (json) {
    const said = { code: issues === undefined ? code : 'POLICY_INVALID', message, next, issues }
    write(`${JSON.stringify({ error: said })}\n`)
    return exit
  }
  const lines = [
    `portcullis ${row.name}: ${plain(message)}`,
    ...(issues ?? []).map((issue) => `  ${plain(sayIssue(issue))}`),
    ...(next === undefined ? [] : [next]),
  ]
  write(`${lines.join('\n')}\n`)
  return exit
}

function failureOf(error: unknown, { name }: CommandRow): Failure {
  const { message } = error as Error
  if (error instanceof CommandUsageError)
    return {
      exit: EXIT.usage,
      code: 'USAGE',
      message,
      next: `run \`npx portcullis ${name} --help\` for its usage`,
    }
  if (error instanceof CommandDeniedError) return { exit: EXIT.denied, code: 'DENIED', message }
  if (error instanceof InterruptedError) return { exit: EXIT.interrupted, code: 'INTERRUPTED', message }
  if (error instanceof NotFoundError) return { exit: EXIT.no, code: 'NOT_FOUND', message }
  if (!isPortcullisError(error)) return { exit: EXIT.failed, code: 'FAILED', message: `failed: ${message}` }
  const { code } = error
  if (code === 'POLICY_INVALID') {
    const { issues } = error as PolicyError
    const [only] = issues
    // A key is not part of a policy, so the path would name a call that the user did not write.
    if (only !== undefined && name.startsWith('key '))
      return { exit: EXIT.failed, code, message: `refused: ${only.message}` }
    return {
      exit: EXIT.failed,
      code,
      message: issues.length === 1 ? message : 'refused:',
      issues: issues.length === 1 ? undefined : issues,
    }
  }
  if (code === 'EXPECTATION_BROKEN')
    return {
      exit: EXIT.no,
      code,
      message,
      next: 'nothing was written; `npx portcullis policy try` shows what each guard decides',
    }
  if (code === 'CONFIG_INVALID') return { exit: EXIT.usage, code, message }
  if (code === 'REVISION_CONFLICT')
    return {
      exit: EXIT.failed,
      code,
      message,
      next: 'nothing was written; look at the current revision, and try again',
    }
  if (code !== 'UNAVAILABLE') return { exit: EXIT.failed, code, message }
  if (/\b(?:NOAUTH|WRONGPASS|NOPERM|EACCES|EPERM)\b/.test(message))
    return { exit: EXIT.denied, code: 'DENIED', message }
  return isUnreadable(error)
    ? {
        exit: EXIT.failed,
        code: 'UNREADABLE',
        message,
        next: /\bsealed\b/.test(message) ? VAULT_KEY : undefined,
      }
    : { exit: EXIT.unavailable, code, message }
}

const VAULT_KEY =
  'set PORTCULLIS_VAULT_KEY, or give `--vault-key-file`, to the key that sealed the data: your servers use it too'

/** One issue, with the refused entry and the corrected form if there are any. */
export function sayIssue({ path, message, given, corrected }: PolicyIssue): string {
  const where = path === '' ? 'the document' : path
  return `${where}${given === undefined ? '' : ` (${given})`}: ${message}${corrected === undefined ? '' : `; write \`${corrected}\``}`
}
