import { parseArgs } from 'node:util'
import { didYouMean } from '../did-you-mean.ts'
import { isPortcullisError, isUnreadable } from '../errors.ts'
import { AUDIT_COMMANDS } from './audit/commands.ts'
import {
  CommandUsageError,
  EXIT,
  type CommandRow,
  type ExitCode,
  type OptionRow,
  type Surroundings,
} from './command.ts'

/** All commands. */
export const COMMANDS: readonly CommandRow[] = AUDIT_COMMANDS

const HELP = { type: 'boolean', help: 'shows this' } as const

/** Runs a command, and says how it ended. Never throws. */
export async function runCommand(
  args: readonly string[],
  surroundings: Surroundings,
  commands: readonly CommandRow[] = COMMANDS,
): Promise<ExitCode> {
  const row = commands.find(({ name }) => name.split(' ').every((word, index) => args[index] === word))
  if (row === undefined) return withoutCommand(args, surroundings, commands)
  try {
    const { values, positionals } = parsed(row, args.slice(row.name.split(' ').length))
    if (values['help'] === true) {
      surroundings.out(helpOf(row))
      return EXIT.ok
    }
    return await row.run({ ...surroundings, values, positionals })
  } catch (error) {
    return failed(error, row, surroundings)
  }
}

function parsed(row: CommandRow, args: readonly string[]): ReturnType<typeof parseArgs> {
  const options = Object.fromEntries(
    Object.entries<OptionRow>({ ...row.options, help: HELP }).map(([name, { type, multiple = false }]) => [
      name,
      { type, multiple },
    ]),
  )
  let result: ReturnType<typeof parseArgs>
  try {
    result = parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new CommandUsageError(usageMessage(error, Object.keys(options)))
  }
  const [least, most] = row.count ?? [0, 0]
  const { length } = result.positionals
  if (result.values['help'] === true || (length >= least && length <= most)) return result
  throw new CommandUsageError(
    length < least
      ? `\`${row.positionals ?? ''}\` is missing`
      : `\`${result.positionals[most] ?? ''}\` is one argument too many`,
  )
}

/** What Node says of arguments, with the option that was probably meant. */
function usageMessage(error: unknown, names: readonly string[]): string {
  const { message = '' } = error as { readonly message?: string }
  const unknown = /Unknown option '--([^']+)'/.exec(message)?.[1]
  if (unknown === undefined) return message.split('. ')[0] ?? message
  const meant = didYouMean(unknown, names)
  return `unknown option \`--${unknown}\`${meant === undefined ? '' : `: did you mean \`--${meant}\`?`}`
}

function withoutCommand(
  args: readonly string[],
  { out, error }: Surroundings,
  commands: readonly CommandRow[],
): ExitCode {
  const asked = args[0] === undefined || args[0] === '--help' || args[0] === 'help'
  const group = commands.filter(({ name }) => name.split(' ')[0] === args[0])
  const isGroup = group.length > 0 && (args[1] === undefined || args[1] === '--help')
  if (asked || isGroup) {
    out(overview(isGroup ? group : commands))
    return args[0] === undefined ? EXIT.usage : EXIT.ok
  }
  const written = args.slice(0, group.length > 0 ? 2 : 1).join(' ')
  const meant = didYouMean(
    written,
    commands.map(({ name }) => name),
  )
  error(`unknown command \`${written}\`${meant === undefined ? '' : `: did you mean \`${meant}\`?`}\n`)
  return EXIT.usage
}

function overview(commands: readonly CommandRow[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return `portcullis COMMAND [options]\n\n${lines.join('\n')}\n\n\`portcullis COMMAND --help\` shows its options.\n`
}

function helpOf({ name, summary, positionals, options }: CommandRow): string {
  const all: Readonly<Record<string, OptionRow>> = { ...options, help: HELP }
  const rows = Object.entries(all).map(([option, { value, help }]): [string, string] => [
    value === undefined ? `--${option}` : `--${option} ${value}`,
    help,
  ])
  const width = Math.max(...rows.map(([left]) => left.length))
  const lines = rows.map(([left, help]) => `  ${left.padEnd(width)}  ${help}`)
  const usage = positionals === undefined ? name : `${name} ${positionals}`
  return `portcullis ${usage} [options]\n\n${summary}\n\n${lines.join('\n')}\n`
}

function failed(error: unknown, row: CommandRow, { error: write }: Surroundings): ExitCode {
  const { message } = error as Error
  if (error instanceof CommandUsageError) {
    write(`portcullis ${row.name}: ${message}\n`)
    return EXIT.usage
  }
  write(`portcullis ${row.name}: ${isPortcullisError(error) ? message : `failed: ${message}`}\n`)
  if (!isPortcullisError(error)) return EXIT.failed
  if (error.code === 'CONFIG_INVALID') return EXIT.usage
  return error.code === 'UNAVAILABLE' && !isUnreadable(error) ? EXIT.unavailable : EXIT.failed
}
