import { parseArgs } from 'node:util'
import { didYouMean } from '../did-you-mean.ts'
import {
  CommandUsageError,
  countOf,
  EXIT,
  type CommandRow,
  type ExitCode,
  type OptionRow,
  type Surroundings,
} from './command.ts'
import { COMMANDS } from './table.ts'
import { HELP_OPTION, helpOf, overview } from './help.ts'

/** Runs a command, and resolves with its exit code. Never rejects. */
export async function runCommand(
  args: readonly string[],
  surroundings: Surroundings,
  commands: readonly CommandRow[] = COMMANDS,
): Promise<ExitCode> {
  const row = commandOf(args, commands)
  if (row === undefined) return withoutCommand(args, surroundings, commands)
  const rest = args.slice(row.name.split(' ').length)
  try {
    const { values, positionals } = parsed(row, rest)
    if (values['help'] === true) {
      await surroundings.out(helpOf(row))
      return EXIT.ok
    }
    const invocation = { ...surroundings, values, positionals, commands }
    if (row.call !== undefined && values['curl'] === true)
      return await (await import('./calling.ts')).showCall(row.call, invocation)
    const run = await row.load()
    return await run(invocation)
  } catch (error) {
    const { failed } = await import('./failure.ts')
    return failed(error, row, surroundings, rest.includes('--json'))
  }
}

/** The command whose name the arguments begin with; the longest such name wins. */
function commandOf(args: readonly string[], commands: readonly CommandRow[]): CommandRow | undefined {
  return commands.find(({ name }) => name.split(' ').every((word, index) => args[index] === word))
}

function parsed(row: CommandRow, args: readonly string[]): ReturnType<typeof parseArgs> {
  const rows: Readonly<Record<string, OptionRow>> = { ...row.options, help: HELP_OPTION }
  const options = Object.fromEntries(
    Object.entries(rows).map(([name, { type, multiple = false }]) => [name, { type, multiple }]),
  )
  let result: ReturnType<typeof parseArgs>
  try {
    result = parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new CommandUsageError(usageMessage(error, Object.keys(options)))
  }
  if (result.values['help'] === true) return result
  for (const [name, value] of Object.entries(result.values)) {
    const { choices } = rows[name] ?? {}
    if (choices === undefined || choices.includes(String(value))) continue
    const meant = didYouMean(value, choices)
    throw new CommandUsageError(
      `\`--${name}\` must be one of ${choices.join(', ')}${meant === undefined ? '' : `: did you mean \`${meant}\`?`}`,
    )
  }
  const [least, most] = countOf(row)
  const { length } = result.positionals
  if (length >= least && length <= most) return result
  throw new CommandUsageError(
    length < least
      ? `\`${row.positionals?.split(' ')[length] ?? ''}\` is missing`
      : `unexpected argument \`${result.positionals[most] ?? ''}\``,
  )
}

/** The message of Node about wrong arguments, with the option that was probably meant. */
function usageMessage(error: unknown, names: readonly string[]): string {
  const { message = '' } = error as { readonly message?: string }
  const unknown = /Unknown option '(--?[^']+)'/.exec(message)?.[1]
  if (unknown === undefined) return message.split('. ')[0] ?? message
  const meant = didYouMean(unknown.replace(/^-+/, ''), names)
  return `unknown option \`${unknown}\`${meant === undefined ? '' : `: did you mean \`--${meant}\`?`}`
}

async function withoutCommand(
  args: readonly string[],
  { out, error }: Surroundings,
  commands: readonly CommandRow[],
): Promise<ExitCode> {
  const [first, second] = args
  if (first === '--version') {
    await out(`${(await import('./version.ts')).VERSION}\n`)
    return EXIT.ok
  }
  const asked = first === undefined || first === '--help' || first === 'help'
  const group = commands.filter(({ name }) => name.split(' ')[0] === first)
  const isGroup = group.length > 0 && (second === undefined || second === '--help')
  if (asked || isGroup) {
    await out(overview(isGroup ? group : commands))
    return first === undefined || (isGroup && second === undefined) ? EXIT.usage : EXIT.ok
  }
  const written = args.slice(0, group.length > 0 ? 2 : 1).join(' ')
  const meant = didYouMean(
    written,
    commands.flatMap(({ name }) => [name, name.split(' ')[0] ?? name]),
  )
  error(
    `unknown command \`${written}\`${meant === undefined ? '' : `: did you mean \`${meant}\`?`}\n` +
      'run `npx portcullis --help` for all commands\n',
  )
  return EXIT.usage
}
