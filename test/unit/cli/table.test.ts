import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { commandPages, MARK } from '../../../scripts/cli-reference.ts'
import { EXIT, type OptionRow } from '../../../src/cli/command.ts'
import { helpOf, overview, usageOf } from '../../../src/cli/help.ts'
import { COMMANDS } from '../../../src/cli/table.ts'
import { VERSION } from '../../../src/cli/version.ts'
import { repository } from '../../support/commands.ts'

const read = (name: string): string => readFileSync(join(repository, name), 'utf8')

describe('the table of commands', () => {
  it('has each name once, in one or two words', () => {
    const names = COMMANDS.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.filter((name) => !/^[a-z]+( [a-z]+)?$/.test(name))).toEqual([])
    expect(names.length).toBeGreaterThan(30)
  })

  it('has no command whose name is the beginning of another', () => {
    const names = COMMANDS.map(({ name }) => name)
    expect(names.filter((name) => names.some((other) => other.startsWith(`${name} `)))).toEqual([])
  })

  it.each(COMMANDS.map((row) => [row.name, row] as const))('`%s` can be loaded', async (_name, row) => {
    expect(typeof (await row.load())).toBe('function')
  })

  it.each(COMMANDS.map((row) => [row.name, row] as const))(
    '`%s` documents the value of each option',
    (_name, row) => {
      for (const [name, { type, value, help, choices }] of Object.entries<OptionRow>(row.options)) {
        expect([name, type === 'string']).toEqual([name, value !== undefined])
        expect([name, help.length > 3, help.endsWith('.')]).toEqual([name, true, false])
        expect([name, choices?.length ?? 1]).not.toEqual([name, 0])
      }
      expect(row.positionals ?? 'NAME').toMatch(/^([A-Z]+ )*([A-Z]+…?|\[[A-Z]+\])$/)
    },
  )

  it.each(COMMANDS.map((row) => [row.name, row] as const))('`%s` has a complete help', (_name, row) => {
    const help = helpOf(row)
    expect(help.startsWith(`${usageOf(row)}\n\n${row.summary}`)).toBe(true)
    for (const name of [...Object.keys(row.options), 'help']) expect(help).toContain(`  --${name}`)
    for (const name of Object.keys(row.exits ?? {}) as (keyof typeof EXIT)[])
      expect(help).toContain(`  ${EXIT[name]}  ${row.exits?.[name] ?? ''}`)
    for (const line of row.examples ?? []) expect(help).toContain(`  $ ${line}`)
  })

  it('accepts no secret as an argument', () => {
    const options = COMMANDS.flatMap(({ name, options: rows }) =>
      Object.keys(rows).map((option) => `${name} --${option}`),
    )
    expect(options.filter((text) => /secret|password|token/.test(text) && !text.endsWith('-file'))).toEqual(
      [],
    )
  })

  it('has examples with existing commands and options', () => {
    const lines = COMMANDS.flatMap(({ examples = [] }) => examples).flatMap((line) => line.split(' | '))
    const ours = lines.filter((line) => line.startsWith('portcullis '))
    expect(ours.length).toBeGreaterThan(15)
    for (const line of ours) {
      const words = line.split(' ').slice(1)
      const row = COMMANDS.find(({ name }) => name.split(' ').every((word, index) => words[index] === word))
      const options = words.filter((word) => word.startsWith('--')).map((word) => word.slice(2))
      expect([line, row !== undefined]).toEqual([line, true])
      expect([line, options.filter((name) => row?.options[name] === undefined)]).toEqual([line, []])
    }
  })
})

describe('docs/cli.md', () => {
  it('is up to date: if not, run `npm run docs:cli`', () => {
    expect(read('docs/cli.md').split(MARK)[1]).toBe(`\n\n${commandPages()}`)
  })
})

describe('the version', () => {
  it('is the same as in package.json', () => {
    expect(VERSION).toBe((JSON.parse(read('package.json')) as { version: string }).version)
  })
})

describe('the overview', () => {
  it('has a line for each command', () => {
    const lines = overview(COMMANDS)
      .split('\n')
      .filter((line) => line.startsWith('  '))
    expect(lines.map((line) => line.trim().split('  ')[0])).toEqual(COMMANDS.map(({ name }) => name))
  })
})
