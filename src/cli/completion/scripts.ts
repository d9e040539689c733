import { didYouMean } from '../../did-you-mean.ts'
import { CommandUsageError, EXIT, type CommandRow, type Run } from '../command.ts'
import { HELP_OPTION } from '../help.ts'

const SHELLS: Readonly<Record<string, (commands: readonly CommandRow[]) => string>> = { bash, zsh, fish }

export const completion: Run = async ({ positionals, commands, out }) => {
  const [shell = ''] = positionals
  const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined
  if (script === undefined) {
    const meant = didYouMean(shell, Object.keys(SHELLS))
    throw new CommandUsageError(
      `\`SHELL\` must be one of ${Object.keys(SHELLS).join(', ')}, got \`${shell}\`${meant === undefined ? '' : `: did you mean \`${meant}\`?`}`,
    )
  }
  await out(script(commands))
  return EXIT.ok
}

interface Words {
  /** The first words of all commands. */
  readonly groups: readonly string[]
  /** The second words of each group. */
  readonly seconds: ReadonlyMap<string, readonly string[]>
}

function wordsOf(commands: readonly CommandRow[]): Words {
  const seconds = new Map<string, string[]>()
  for (const { name } of commands) {
    const [first = '', second] = name.split(' ')
    const known = seconds.get(first) ?? []
    seconds.set(first, second === undefined ? known : [...known, second])
  }
  return { groups: [...seconds.keys()], seconds }
}

const optionsOf = ({ options }: CommandRow): CommandRow['options'] => ({ ...options, help: HELP_OPTION })

function bash(commands: readonly CommandRow[]): string {
  const { groups, seconds } = wordsOf(commands)
  const groupCases = [...seconds]
    .filter(([, words]) => words.length > 0)
    .map(([group, words]) => `    ${group}) words="${words.join(' ')}" ;;`)
  const optionCases = commands.map((row) => {
    const names = Object.keys(optionsOf(row)).map((name) => `--${name}`)
    return `    "${row.name}") words="${names.join(' ')}" ;;`
  })
  const choiceCases = [
    ...new Set(
      commands.flatMap((row) =>
        Object.entries(row.options).flatMap(([name, { choices }]) =>
          choices === undefined ? [] : [`    "${row.name} --${name}") words="${choices.join(' ')}" ;;`],
        ),
      ),
    ),
  ]
  return `# bash completion of portcullis
_portcullis() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local first="\${COMP_WORDS[1]}" command words=""
  COMPREPLY=()
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=( $(compgen -W "${groups.join(' ')} --help --version" -- "$current") )
    return
  fi
  case "$first" in
${groupCases.join('\n')}
  esac
  if [[ -n "$words" ]]; then
    if (( COMP_CWORD == 2 )); then
      COMPREPLY=( $(compgen -W "$words" -- "$current") )
      return
    fi
    command="$first \${COMP_WORDS[2]}"
  else
    command="$first"
  fi
  words=""
  case "$command $previous" in
${choiceCases.join('\n')}
  esac
  if [[ -n "$words" ]]; then
    COMPREPLY=( $(compgen -W "$words" -- "$current") )
    return
  fi
  if [[ "$current" != -* ]]; then
    COMPREPLY=( $(compgen -f -- "$current") )
    return
  fi
  case "$command" in
${optionCases.join('\n')}
  esac
  COMPREPLY=( $(compgen -W "$words" -- "$current") )
}
complete -o filenames -F _portcullis portcullis
`
}

/** For single quotes of zsh and fish, without characters that have a meaning in \`_arguments\`. */
const quoted = (text: string): string => `'${text.replaceAll(/['\\[\]:]/g, ' ')}'`

function zsh(commands: readonly CommandRow[]): string {
  const { groups, seconds } = wordsOf(commands)
  const groupCases = [...seconds]
    .filter(([, words]) => words.length > 0)
    .map(
      ([group, words]) => `    ${group}) (( CURRENT == 3 )) && { compadd -- ${words.join(' ')}; return } ;;`,
    )
  const cases = commands.map((row) => {
    const rows = Object.entries(optionsOf(row)).map(([name, { type, help, choices, multiple }]) => {
      const values = choices === undefined ? ':value:_files' : `:value:(${choices.join(' ')})`
      const [repeats, takes] = [multiple === true ? '*' : '', type === 'string' ? '=' : '']
      return `      ${quoted(`${repeats}--${name}${takes}`).slice(0, -1)}[${quoted(help).slice(1, -1)}]${type === 'string' ? values : ''}'`
    })
    return `    ${quoted(row.name)})\n      shift_by=${row.name.split(' ').length}\n      specs=(\n${rows.join('\n')}\n      ) ;;`
  })
  return `#compdef portcullis
_portcullis() {
  local -a specs
  local shift_by=1
  if (( CURRENT == 2 )); then
    compadd -- ${groups.join(' ')} --help --version
    return
  fi
  case "$words[2]" in
${groupCases.join('\n')}
  esac
  local name="$words[2]"
  case "$words[2]" in
    ${[...seconds].flatMap(([group, words]) => (words.length > 0 ? [group] : [])).join('|')}) name="$words[2] $words[3]" ;;
  esac
  case "$name" in
${cases.join('\n')}
  esac
  words=("$words[1]" "\${(@)words[shift_by+2,-1]}")
  (( CURRENT -= shift_by ))
  _arguments $specs '*:file:_files'
}
_portcullis "$@"
`
}

function fish(commands: readonly CommandRow[]): string {
  const { groups, seconds } = wordsOf(commands)
  const at = (...words: readonly string[]): string =>
    `complete -c portcullis -n '${['__portcullis_at', ...words].join(' ')}'`
  const first = `complete -c portcullis -n 'test (count (commandline -opc)) -eq 1' -f`
  const lines = [
    `${first} -a '${groups.join(' ')}'`,
    `${first} -l help -d 'shows all commands'`,
    `${first} -l version -d 'shows the version'`,
    ...[...seconds].flatMap(([group, words]) =>
      words.length === 0
        ? []
        : [
            `${at(group).slice(0, -1)}; and test (count (commandline -opc)) -eq 2' -f -a '${words.join(' ')}'`,
          ],
    ),
    ...commands.flatMap((row) =>
      Object.entries(optionsOf(row)).map(([name, { type, help, choices }]) => {
        const values =
          choices === undefined ? (type === 'string' ? ' -r' : '') : ` -x -a '${choices.join(' ')}'`
        return `${at(...row.name.split(' '))} -l ${name}${values} -d ${quoted(help)}`
      }),
    ),
  ]
  return `# fish completion of portcullis
function __portcullis_at
  set -l words (commandline -opc)
  set -l last (math 1 + (count $argv))
  test (count $words) -ge $last; and test "$words[2..$last]" = "$argv"
end
${lines.join('\n')}
`
}
