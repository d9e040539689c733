import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { COMMANDS } from '../../../src/cli/table.ts'
import { portcullis } from '../../support/command-line.ts'
import { findShell, unpackedShell } from '../../support/shell-binaries.ts'

const execute = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'portcullis-completion-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The completions of each line, whose last word is incomplete. */
type Complete = (lines: readonly string[]) => Promise<ReadonlyMap<string, readonly string[]>>

async function inFish(lines: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const script = join(folder, 'portcullis.fish')
  writeFileSync(script, (await portcullis('completion fish')).out)
  // Each line has a word, a tab and its description.
  const commands = lines.map((line) => `echo '= ${line}'; complete -C '${line}'`)
  const { stdout, stderr } = await execute(
    await findShell('fish'),
    ['--no-config', '-c', `source ${script}\n${commands.join('\n')}`],
    { cwd: folder, env: { HOME: folder, PATH: process.env['PATH'] ?? '' } },
  )
  expect(stderr).toBe('')
  return captured(stdout.replaceAll(/\t.*/g, ''))
}

/** zsh completes in its line editor alone, which needs a terminal: `zsh/zpty` makes one. */
async function inZsh(lines: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const zsh = await findShell('zsh')
  const [found, drive] = [join(folder, 'found'), join(folder, 'drive.zsh')]
  const unpacked = join(unpackedShell('zsh'), 'usr')
  // A shell that was only unpacked has its modules and functions elsewhere than it was built for.
  const places = zsh.startsWith(unpackedShell('zsh'))
    ? `module_path=(${unpacked}/lib/*/zsh/*(/)); fpath=(${unpacked}/share/zsh/functions/**/*(/) $fpath)\n`
    : ''
  writeFileSync(join(folder, '_portcullis'), (await portcullis('completion zsh')).out)
  writeFileSync(
    join(folder, '.zshrc'),
    `${places}fpath=($ZDOTDIR $fpath)
autoload -Uz compinit && compinit -D -u
compadd() {
  local -a words
  if [[ -z \${argv[(r)-[AOD]]} ]]; then
    builtin compadd -A words "$@"
    (( $#words )) && print -rl -- $words >> $FOUND
  fi
  builtin compadd "$@"
}
zle-line-init() {
  local line
  for line in "\${(f)LINES_TO_COMPLETE}"; do
    print -r -- "= $line" >> $FOUND
    BUFFER=$line CURSOR=$#line
    zle list-choices
  done
  exit
}
zle -N zle-line-init
`,
  )
  writeFileSync(
    drive,
    `${places}zmodload zsh/zpty\nzpty shell "$ZSH -d -i"\nwhile zpty -r shell shown; do :; done\n`,
  )
  rmSync(found, { force: true })
  const env = { ZSH: zsh, ZDOTDIR: folder, FOUND: found, LINES_TO_COMPLETE: lines.join('\n'), TERM: 'xterm' }
  await execute(zsh, ['-f', drive], {
    cwd: folder,
    env: { ...env, HOME: folder, PATH: process.env['PATH'] ?? '' },
  })
  return captured(readFileSync(found, 'utf8'))
}

function captured(text: string): ReadonlyMap<string, readonly string[]> {
  const blocks = text.split(/^= /m).slice(1)
  return new Map(
    blocks.map((block) => {
      const [line = '', ...words] = block.split('\n')
      return [line, [...new Set(words.filter((word) => word !== ''))].toSorted()]
    }),
  )
}

const GROUPS = [...new Set(COMMANDS.map(({ name }) => name.split(' ')[0] ?? ''))]
const secondsOf = (group: string): string[] =>
  COMMANDS.map(({ name }) => name.split(' ')).flatMap(([first, second]) =>
    first === group && second !== undefined ? [second] : [],
  )
/** Those of a command that is written without an argument. */
const optionsOf = ({ options }: (typeof COMMANDS)[number]): string[] =>
  [...Object.keys(options), 'help'].map((name) => `--${name}`)

/** Everything that the table says, as lines and what comes of them. */
const EXPECTED: readonly (readonly [line: string, words: readonly string[]])[] = [
  ['portcullis po', ['policy']],
  ['portcullis policy pu', ['pull', 'push']],
  ['portcullis policy set --fa', ['--fail-on']],
  ['portcullis policy set ./p.json --note x --if-r', ['--if-revision']],
  ['portcullis probe https://gateway.example/ --key', ['--key-id']],
  ...GROUPS.filter((group) => secondsOf(group).length > 0).map(
    (group) => [`portcullis ${group} `, secondsOf(group)] as const,
  ),
  ...COMMANDS.map((row) => [`portcullis ${row.name} --`, optionsOf(row)] as const),
  ...COMMANDS.flatMap(({ name, options }) =>
    Object.entries(options).flatMap(([option, { choices }]) =>
      choices === undefined ? [] : [[`portcullis ${name} --${option} `, choices] as const],
    ),
  ),
]

const SHELLS = { zsh: inZsh, fish: inFish } as const satisfies Readonly<Record<string, Complete>>

describe.each(Object.entries(SHELLS))('completion in %s', (_shell, complete) => {
  let found: ReadonlyMap<string, readonly string[]>
  beforeAll(async () => {
    writeFileSync(join(folder, 'a-file.json'), '{}')
    found = await complete([
      'portcullis ',
      'portcullis --',
      'portcullis policy set --fail-on=d',
      'portcullis policy set a-f',
      'portcullis policy set --vault-key-file a-f',
      ...EXPECTED.map(([line]) => line),
    ])
  })

  it('completes groups, commands, options and their values', () => {
    expect(EXPECTED.length).toBeGreaterThan(50)
    for (const [line, words] of EXPECTED) expect([line, found.get(line)]).toEqual([line, words.toSorted()])
  })

  it('completes the first word, and whatever is in its place', () => {
    expect(found.get('portcullis ')?.filter((word) => !word.startsWith('-'))).toEqual(GROUPS.toSorted())
    expect(found.get('portcullis --')).toEqual(['--help', '--version'])
  })

  it('completes values after an equals sign, and file names', () => {
    expect(found.get('portcullis policy set --fail-on=d')?.map((word) => word.split('=').at(-1))).toEqual([
      'danger',
    ])
    for (const line of ['portcullis policy set a-f', 'portcullis policy set --vault-key-file a-f'])
      expect([line, found.get(line)]).toEqual([line, ['a-file.json']])
    expect(readdirSync(folder)).toContain('a-file.json')
  })
})
