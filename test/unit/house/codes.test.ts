import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import {
  ConfigError,
  DENIALS,
  ExpectationBroken,
  lintPolicy,
  PolicyError,
  PurposeRequired,
  RevisionConflict,
  UnavailableError,
  UsageError,
} from 'portcullis'
import { SEVERITIES } from '../../../src/lint/finding.ts'
import { repository } from '../../support/commands.ts'
import { readSources } from './sources.ts'

const page = readFileSync(join(repository, 'docs/codes.md'), 'utf8')
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((part): [string, string] => {
      const [heading = '', ...text] = part.split('\n')
      return [heading, text.join('\n').split(/^## /m)[0]?.trim() ?? '']
    }),
)

/** The codes of errors, reasons and warnings in strings of the sources. */
const NAMES: readonly RegExp[] = [
  /readonly code = '([A-Z_]+)'/g,
  /'((?:OPTION|KEY|VALUE|ENTRY)_[A-Z]+)'/g,
  /'(SEALED_[A-Z_]+)'/g,
  // The vault key of the command line is an environment variable, which the remedy of a guard names.
  /\b(PORTCULLIS_(?!VAULT_KEY)[A-Z_]+)\b/g,
  /type AllowanceCode = ([^\n]+)/g,
]
// The command line names environment variables, which are not codes.
const withCodes = readSources().filter(({ area }) => area !== 'cli')
const inSources = withCodes.flatMap(({ text }) =>
  NAMES.flatMap((pattern) => [...text.matchAll(pattern)]).flatMap(
    ([, name = '']) => name.match(/[A-Z_]{4,}/g) ?? [],
  ),
)
const codes = new Set([...Object.keys(DENIALS), ...Object.keys(SEVERITIES), ...inSources])
describe('docs/codes.md', () => {
  it('finds the codes of every kind in the sources', () => {
    const some = [
      'APP_UNKNOWN',
      'mode-off',
      'CONFIG_INVALID',
      'OPTION_UNKNOWN',
      'ENTRY_INVALID',
      'PROTECTION_OFF',
    ]
    expect([...codes]).toEqual(expect.arrayContaining([...some, 'PORTCULLIS_TRUST_PROXY_ALL']))
  })

  it('has a heading for every code, and no others', () => {
    expect([...sections.keys()].toSorted()).toEqual([...codes].toSorted())
  })

  it('has text under every heading', () => {
    for (const [code, text] of sections) expect([code, text.length > 40]).toEqual([code, true])
  })

  it('states the status of each refusal and the severity of each finding', () => {
    for (const [code, { status }] of Object.entries(DENIALS))
      expect([code, sections.get(code)?.startsWith(String(status))]).toEqual([code, true])
    for (const [code, severity] of Object.entries(SEVERITIES))
      expect([code, sections.get(code)?.toLowerCase().startsWith(`${severity}.`)]).toEqual([code, true])
  })

  it('is the target of the link in every error and finding', () => {
    const things = [
      new ConfigError('a', 'b', 1),
      new UsageError('x'),
      new PurposeRequired(),
      new PolicyError([]),
      new ExpectationBroken('a', []),
      new RevisionConflict('a', 1, 2),
      new UnavailableError('x'),
      ...lintPolicy({ appId: 'a' }),
    ]
    const anchors = new Set([...sections.keys()].map((code) => `docs/codes.md#${code.toLowerCase()}`))
    for (const { code, help } of things) {
      expect(help).toBe(`docs/codes.md#${code.toLowerCase()}`)
      expect(anchors).toContain(help)
    }
  })
})
