import { EXIT, MEANINGS, type CommandRow, type OptionRow } from './command.ts'

/** Every command has this option. */
export const HELP_OPTION = { type: 'boolean', help: 'shows this help' } as const

/** All commands, one per line. */
export function overview(commands: readonly CommandRow[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return `portcullis COMMAND [options]\n\n${lines.join('\n')}\n\nRun \`npx portcullis COMMAND --help\` for the options of a command.\n`
}

/** The usage of a command: `policy get APP [options]`. */
export function usageOf({ name, positionals }: CommandRow): string {
  return `portcullis ${name}${positionals === undefined ? '' : ` ${positionals}`} [options]`
}

/** An option with its value: `--if-revision NUMBER`. */
export function optionText(name: string, { value }: OptionRow): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`
}

/** The help of an option, with its choices. */
export function optionHelp({ help, choices, multiple }: OptionRow): string {
  const values = choices === undefined ? '' : ` (${choices.join(', ')})`
  return `${help}${values}${multiple === true ? '; may be repeated' : ''}`
}

/** The meaning of each exit code of a command. */
export function exitsOf({ exits = {} }: CommandRow): (readonly [code: number, meaning: string])[] {
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[]
  return names
    .filter((name) => name in exits || name === 'ok' || name === 'usage')
    .map((name) => [EXIT[name], exits[name] ?? MEANINGS[name]] as const)
}

function section(title: string, lines: readonly string[]): string {
  return [`${title}:`, ...lines.map((line) => `  ${line}`)].join('\n')
}

/** The help of one command. */
export function helpOf(row: CommandRow): string {
  const all: Readonly<Record<string, OptionRow>> = { ...row.options, help: HELP_OPTION }
  const rows = Object.entries(all).map(
    ([name, option]) => [optionText(name, option), optionHelp(option)] as const,
  )
  const width = Math.max(...rows.map(([left]) => left.length))
  const parts = [
    usageOf(row),
    `${row.summary}${row.about === undefined ? '' : `\n\n${row.about}`}`,
    section(
      'Options',
      rows.map(([left, help]) => `${left.padEnd(width)}  ${help}`),
    ),
    section(
      'Exit codes',
      exitsOf(row).map(([code, meaning]) => `${code}  ${meaning}`),
    ),
    ...(row.examples === undefined
      ? []
      : [
          section(
            'Examples',
            row.examples.map((line) => `$ ${line}`),
          ),
        ]),
  ]
  return `${parts.join('\n\n')}\n`
}
