import { beforeAll, describe, expect, it } from '@jest/globals'
import { repository, run } from '../support/commands.ts'
import { compiled } from '../support/compiled.ts'
import { folder } from './setup.ts'

interface Found {
  readonly how: string
  readonly expected: readonly string[]
  readonly read: readonly string[]
  readonly unreported: readonly string[]
  readonly error?: string
}

/** Tests the current version of Node. `npm run test:node -- 26 test/libraries/reads` uses another one. */
describe(`the catalogue of ways to read, with libraries, on Node ${process.versions.node}`, () => {
  let found: Found[] = []
  beforeAll(async () => {
    const program = compiled('test/libraries/ways-process.ts')
    const { succeeded, output } = await run(process.execPath, [program, folder], {
      cwd: repository,
      timeout: 100_000,
    })
    if (!succeeded) throw new Error(output)
    found = output
      .split('\n')
      .flatMap((line) => (line.startsWith('{"how"') ? [JSON.parse(line) as Found] : []))
  }, 120_000)

  it('contains more than 130 ways, 30 of them in libraries', () => {
    expect(found.length).toBeGreaterThanOrEqual(130)
    expect(new Set(found.map(({ how }) => how)).size).toBe(found.length)
    expect(found.filter(({ how }) => how.includes(': ')).length).toBeGreaterThanOrEqual(30)
  })

  it('causes an event for each field that is read, and yields no value without one', () => {
    expect(found.filter(({ unreported }) => unreported.length > 0)).toEqual([])
    expect(found.filter(({ error }) => error !== undefined)).toEqual([])
    for (const { how, read, expected } of found) expect([how, read]).toEqual([how, expected])
  })
})
