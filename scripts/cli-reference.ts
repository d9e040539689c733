import { COMMANDS } from '../src/cli/table.ts'
import type { CommandRow, OptionRow } from '../src/cli/command.ts'
import { exitsOf, optionHelp, optionText, usageOf } from '../src/cli/help.ts'
import { STORE_OPTIONS } from '../src/cli/option-rows.ts'

/** The line in docs/cli.md after which everything is generated. */
export const MARK =
  '<!-- The rest of this page is generated from the table of commands by `npm run docs:cli`. -->'

/** The sections of docs/cli.md about the commands, group by group. */
export function commandPages(commands: readonly CommandRow[] = COMMANDS): string {
  const groups = [...new Set(commands.map(({ name }) => name.split(' ')[0] ?? ''))]
  const parts = groups.map((group) => {
    const rows = commands.filter(({ name }) => name.split(' ')[0] === group)
    return `## ${group}\n\n${rows.map((row) => pageOf(row)).join('\n')}`
  })
  return parts.join('\n')
}

function pageOf(row: CommandRow): string {
  const isGroup = row.name.includes(' ')
  const own = Object.entries<OptionRow>(row.options).filter(([name]) => !isOfStore(row, name))
  const takesStore = own.length < Object.keys(row.options).length
  const options = own.map(
    ([name, option]) => `- \`${optionText(name, option)}\`: ${escaped(optionHelp(option))}`,
  )
  const exits = exitsOf(row).filter(([code, meaning]) => code !== 2 && !(code === 0 && meaning === 'done'))
  return [
    ...(isGroup ? [`### ${row.name}`, ''] : []),
    `\`\`\`text\n${usageOf(row)}\n\`\`\``,
    '',
    sentence(row.summary),
    ...(row.about === undefined ? [] : ['', escaped(row.about)]),
    ...(options.length === 0 && !takesStore
      ? []
      : ['', ...options, ...(takesStore ? ['- [which store](#which-store)'] : [])]),
    ...(exits.length === 0
      ? []
      : ['', `Exit codes: ${exits.map(([code, meaning]) => `${code} ${escaped(meaning)}`).join(' · ')}`]),
    ...(row.examples === undefined ? [] : ['', `\`\`\`sh\n${row.examples.join('\n')}\n\`\`\``]),
    '',
  ].join('\n')
}

/** Whether an option selects the store. The page explains these options only once. */
function isOfStore({ options }: CommandRow, name: string): boolean {
  return (
    Object.hasOwn(STORE_OPTIONS, name) &&
    options[name] === (STORE_OPTIONS as Readonly<Record<string, OptionRow>>)[name]
  )
}

function sentence(text: string): string {
  return `${escaped(text.charAt(0).toUpperCase() + text.slice(1))}.`
}

/** Escapes characters of Markdown and HTML, except in code. */
function escaped(text: string): string {
  return text
    .split('`')
    .map((part, index) => (index % 2 === 1 ? `\`${part}\`` : part.replaceAll(/[<>*_]/g, String.raw`\$&`)))
    .join('')
}
