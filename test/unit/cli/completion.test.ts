import { execFileSync } from 'node:child_process'
import { describe, expect, it } from '@jest/globals'
import { COMMANDS } from '../../../src/cli/table.ts'
import { portcullis } from '../../support/command-line.ts'

const scriptFor = async (shell: string): Promise<string> => (await portcullis(`completion ${shell}`)).out

/** The completions of bash for a line with an incomplete last word. */
async function completed(...words: string[]): Promise<string[]> {
  const script = await scriptFor('bash')
  const call = `COMP_WORDS=(portcullis ${words.map((word) => `"${word}"`).join(' ')}); COMP_CWORD=${words.length}; _portcullis; printf '%s\\n' "\${COMPREPLY[@]}"`
  const printed = execFileSync('/bin/bash', ['--norc', '-c', `${script}\n${call}`], {
    encoding: 'utf8',
    env: {},
  })
  return printed.split('\n').filter((line) => line !== '')
}

describe('completion in bash', () => {
  it('completes the first word, and the second of a group', async () => {
    expect(await completed('po')).toEqual(['policy'])
    expect(await completed('policy', 'pu')).toEqual(['pull', 'push'])
    expect((await completed('')).length).toBe(
      new Set(COMMANDS.map(({ name }) => name.split(' ')[0])).size + 2,
    )
  })

  it('completes the options of a command, and their values', async () => {
    expect(await completed('policy', 'set', '--fa')).toEqual(['--fail-on'])
    expect(await completed('policy', 'set', '--fail-on', 'd')).toEqual(['danger'])
    expect(await completed('list', 'export', 'office', '--format', '')).toEqual(['text', 'csv', 'json'])
    expect(await completed('doctor', '--str')).toEqual(['--strict'])
  })

  it('knows every option of every command', async () => {
    const script = await scriptFor('bash')
    for (const { name, options } of COMMANDS) {
      const line = script.split('\n').find((text) => text.startsWith(`    "${name}")`)) ?? ''
      const words = /words="([^"]*)"/.exec(line)?.[1]?.split(' ')
      expect([name, words]).toEqual([name, [...Object.keys(options), 'help'].map((option) => `--${option}`)])
    }
  })
})

it('refuses an unknown shell, and suggests the one that was probably meant', async () => {
  const ended = await portcullis('completion bsh')
  expect([ended.code, ended.error]).toEqual([2, expect.stringContaining('did you mean `bash`?')])
})
