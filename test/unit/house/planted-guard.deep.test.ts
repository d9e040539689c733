import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { repository, run, type Ran } from '../../support/commands.ts'

/* Adds a seventh guard to a copy of the sources, following only the recipe in CONTRIBUTING.md. */

let house = ''

beforeAll(() => {
  house = mkdtempSync(join(tmpdir(), 'seventh-guard-'))
  cpSync(join(repository, 'src'), join(house, 'src'), { recursive: true })
  symlinkSync(join(repository, 'node_modules'), join(house, 'node_modules'))
  for (const name of ['package.json', 'tsconfig.json']) cpSync(join(repository, name), join(house, name))
})

afterAll(() => rmSync(house, { recursive: true, force: true }))

const NEW_FILES: Readonly<Record<string, string>> = {
  'src/policy/sections/opening-days.ts': `
import * as z from 'zod/mini'
import { finding, type PolicyFinding } from '../../lint/finding.ts'
import { letsAllPass, type SectionComparison } from '../compare/side.ts'
import { mode } from '../members.ts'
import type { Protection, Section } from '../section.ts'
import { SOME_URL } from '../written-request.ts'

export interface OpeningDaysProtection extends Protection {
  /** The days on which requests are served, 0 for Sunday. */
  readonly days: readonly number[]
}

export const OPENING_DAYS: Section<OpeningDaysProtection> = {
  schema: () =>
    z.strictObject({ mode: mode(), days: z.prefault(z.array(z.int().check(z.gte(0), z.lte(6))), []) }),
  compile: ({ mode, days }) => ({ mode, days }),
}

export const COMPARE_DAYS: SectionComparison<OpeningDaysProtection> = {
  members: { mode: 'passes', days: 'passes' },
  gains({ section: from }, { section: to }) {
    const serves = (section: OpeningDaysProtection | undefined, day: number) =>
      section !== undefined && (letsAllPass(section) || section.days.includes(day))
    const day = [0, 1, 2, 3, 4, 5, 6].find((one) => serves(to, one) && !serves(from, one))
    return day === undefined ? undefined : { member: 'days', request: { url: SOME_URL }, subject: 'a request on day ' + day }
  },
}

export function lintOpeningDays({ days }: OpeningDaysProtection): PolicyFinding[] {
  return days.length > 0 ? [] : [finding('empty-list', 'openingDays.days', 'admits nobody: the list is empty')]
}
`,
  'src/guards/opening-days.ts': `
import { allow, deny } from '../decision.ts'
import { guardOf, type Guard } from './guard.ts'

export interface DayFacts {
  readonly day: number
}

/** Decides whether the app serves on this day. */
export const decideOpeningDays: Guard<DayFacts> = guardOf('openingDays', ({ mode, days }, { day }) => ({
  decision: days.includes(day)
    ? allow('openingDays', mode, 'the app serves on this day', { day })
    : deny('openingDays', mode, 'REGION_UNKNOWN', 'the app does not serve on this day', { day }),
}))
`,
  'src/http/opening-days.ts': `
import { decideOpeningDays, type DayFacts } from '../guards/opening-days.ts'
import { aFunction, checkOptions } from '../options.ts'
import type { DescribedQuestion } from './described-request.ts'
import type { RequestHandler } from './handler.ts'
import { SHARED_EXPECTATIONS, type Expectations, type SharedOptions } from './shared-options.ts'
import { mount } from './shell.ts'
import type { Mount } from './step.ts'

export interface OpeningDaysOptions extends SharedOptions {
  /** The time, in milliseconds since the epoch. Default: the clock. */
  readonly openingTime?: (() => number) | undefined
}

export function openingDays(options: OpeningDaysOptions): RequestHandler {
  const settings = checkOptions<OpeningDaysOptions>('openingDays', options, {
    ...SHARED_EXPECTATIONS,
    ...OPENING_DAYS_EXPECTATIONS,
  })
  return mount(openingDaysMount(settings), settings)
}

export const OPENING_DAYS_EXPECTATIONS = { openingTime: aFunction } satisfies Expectations<OpeningDaysOptions>

export function openingDaysMount({ openingTime = Date.now }: OpeningDaysOptions): Mount<DayFacts, undefined> {
  return { name: 'openingDays', guard: decideOpeningDays, facts: () => ({ day: dayOf(openingTime()) }) }
}

function dayOf(time: number): number {
  return new Date(time).getUTCDay()
}

export const describedOpeningDays: DescribedQuestion = ({ now = Date.now() }) => ({
  name: 'openingDays',
  guard: decideOpeningDays,
  facts: () => ({ day: dayOf(now) }),
})
`,
}

/** The rows to insert in each table, and the text after each. */
const ROWS: Readonly<Record<string, readonly (readonly [before: string, line: string])[]>> = {
  'src/policy/sections.ts': [
    [
      'import type',
      `import { COMPARE_DAYS, lintOpeningDays, OPENING_DAYS } from './sections/opening-days.ts'`,
    ],
    ['  auditAccess: AUDIT_ACCESS', '  openingDays: OPENING_DAYS,'],
    [
      '  auditAccess: {',
      '  openingDays: { points: 0, modeIsEnough: false, reason: "nobody calls when the shop is shut", lint: lintOpeningDays, compare: COMPARE_DAYS },',
    ],
  ],
  'src/http/guards.ts': [
    [
      'import type',
      `import { describedOpeningDays, OPENING_DAYS_EXPECTATIONS, openingDaysMount, type OpeningDaysOptions } from './opening-days.ts'`,
    ],
    ['export { auditAccess', `export { openingDays, type OpeningDaysOptions } from './opening-days.ts'`],
    ['    AuditAccessOptions,', '    OpeningDaysOptions,'],
    [
      '  ipWhitelist: {',
      '  openingDays: { expectations: OPENING_DAYS_EXPECTATIONS, mount: openingDaysMount, described: describedOpeningDays },',
    ],
  ],
}

/** Writes the first `count` rows of a table. */
function plant(path: string, count: number): void {
  let text = readFileSync(join(repository, path), 'utf8')
  for (const [before, line] of (ROWS[path] ?? []).slice(0, count)) {
    if (!text.includes(before)) throw new Error(`${path} has no \`${before}\``)
    text = text.replace(before, `${line}\n${before}`)
  }
  writeFileSync(join(house, path), text)
}

const PROGRAM = `
import { createServer } from 'node:http'
import { createPolicySource, explain, lintPolicy, memoryAuditSink, memoryStore, openingDays, parsePolicy, protect, type PolicyInput } from './src/index.ts'

const policy: PolicyInput = { appId: 'a', openingDays: { mode: 'enforce', days: [1, 2] }, auditAccess: { mode: 'enforce' } }
for (const section of ['serverOnly', 'ipWhitelist', 'domainProtect', 'returnUrlGuard', 'regionPin'] as const)
  Object.assign(policy, { [section]: { mode: 'off' } })
const sink = memoryAuditSink()
const policies = createPolicySource({ store: memoryStore([{ policy }]) })
let time = 0
const openingTime = () => time
const all = protect({ policies, sink, here: 'dallas', country: () => 'US', returnUrl: () => undefined, nonces: { claim: async () => true }, openingTime })
const alone = openingDays({ policies, openingTime })
const server = createServer((req, res) => (req.url === '/all' ? all : alone)(req, res, () => res.end('served')))
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const { port } = server.address() as { port: number }
const ask = async (path: string, day: number) => {
  time = Date.UTC(2024, 0, 7 + day)
  return (await fetch('http://127.0.0.1:' + port + path, { headers: { 'x-app-id': 'a' } })).status
}
const statuses: number[] = [await ask('/all', 1), await ask('/all', 3), await ask('/alone', 2), await ask('/alone', 0)]
const told = explain(policy, { url: 'https://a.example/', now: Date.UTC(2024, 0, 7) })
console.log(JSON.stringify({
  statuses,
  recorded: sink.events().flatMap((event) => 'decisions' in event ? event.decisions : []).filter(({ guard }) => guard === 'openingDays').map(({ effect }) => effect),
  explained: told.decisions.find(({ guard }) => guard === 'openingDays')?.code,
  parsed: parsePolicy({ appId: 'a', openingDays: { mode: 'report' } }).openingDays,
  found: lintPolicy({ appId: 'a', openingDays: { mode: 'enforce' } }).filter(({ path }) => path.startsWith('openingDays')).map(({ code }) => code),
  missing: lintPolicy({ appId: 'a' }).some(({ path, code }) => path === 'openingDays' && code === 'section-missing'),
}))
server.close()
server.closeAllConnections()
policies.close()
`

const compile = (): Promise<Ran> =>
  run(join(repository, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.plan.json'], { cwd: house })

describe('a seventh guard added by the recipe: three new files, and rows in two tables', () => {
  beforeAll(() => {
    for (const [path, text] of Object.entries(NEW_FILES)) writeFileSync(join(house, path), text)
    const config = { extends: './tsconfig.json', include: ['src', 'program.ts'] }
    writeFileSync(join(house, 'tsconfig.plan.json'), JSON.stringify(config))
    writeFileSync(join(house, 'program.ts'), PROGRAM)
  })

  it('is complete', async () => {
    for (const path of Object.keys(ROWS)) plant(path, Infinity)
    expect(await compile()).toEqual({ succeeded: true, output: '' })
    const program = await run(process.execPath, ['--import', 'tsx', 'program.ts'], {
      cwd: house,
      env: { ...process.env, NODE_ENV: 'production' },
    })
    expect(program.succeeded ? '' : program.output).toBe('')
    expect(JSON.parse(program.output)).toEqual({
      statuses: [200, 403, 200, 403],
      recorded: ['allow', 'deny'],
      explained: 'REGION_UNKNOWN',
      parsed: { mode: 'report', days: [] },
      found: ['empty-list'],
      missing: true,
    })
  }, 120_000)

  it.each([
    ['the advice on its section', 'src/policy/sections.ts', 2],
    ['its mount', 'src/http/guards.ts', 0],
  ])(
    'does not compile if a row is missing: %s',
    async (_what, missing, count) => {
      for (const path of Object.keys(ROWS)) plant(path, path === missing ? count : Infinity)
      const { succeeded, output } = await compile()
      expect(succeeded).toBe(false)
      expect(output).toMatch(new RegExp(`^${missing}.*openingDays`, 'm'))
    },
    120_000,
  )
})
