import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createPolicySource, memoryAuditSink, memoryNonces, memoryStore } from 'portcullis'
import { auditLog, memoryFrames, type AuditEvent } from 'portcullis/audit'
import { createMetrics } from 'portcullis/metrics'
import { repository, run } from '../../support/commands.ts'
import { readExposition } from '../../support/exposition.ts'
import { findPromtool } from '../../support/promtool-binary.ts'

const monitoring = join(repository, 'examples', 'monitoring')

let promtool: string
let folder: string
beforeAll(async () => {
  promtool = await findPromtool()
  folder = mkdtempSync(join(tmpdir(), 'portcullis-monitoring-'))
  cpSync(monitoring, folder, { recursive: true })
  writeFileSync(join(folder, 'metrics-token'), 'token')
}, 600_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Metrics in which every family has a sample. */
function everyFamily(): string {
  const policies = createPolicySource({ store: memoryStore([{ policy: { appId: 'a' } }]) })
  const metrics = createMetrics({
    policies,
    auditLogs: { main: auditLog({ store: memoryFrames() }) },
    regions: { status: () => [{ jurisdiction: 'europe', location: 'london', condition: 'current' }] },
    sampling: 1,
  })
  metrics.onDecision({
    guard: 'ipWhitelist',
    effect: 'deny',
    mode: 'report',
    code: 'ADDRESS_NOT_ALLOWED',
    detail: '',
    evidence: {},
  })
  metrics.nonces(memoryNonces()).claim('a', 'n', Date.now() + 1_000)
  void metrics.sink('main', memoryAuditSink()).write([{} as AuditEvent])
  metrics.timed('protect', (_req, _res, next) => next())(
    {} as never,
    { once: () => undefined } as never,
    () => undefined,
  )
  policies.close()
  return metrics.text()
}

/** Our metric families in a query. */
const familiesIn = (text: string): string[] => [...new Set(text.match(/\bportcullis_[a-z_]+/g) ?? [])]

describe('the output for Prometheus', () => {
  it('is valid according to promtool', () => {
    const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], { input: everyFamily() })
    expect([status, stdout.toString(), stderr.toString()]).toEqual([0, '', ''])
  })

  it.each([
    ['the alerts', ['check', 'rules', 'alerts.yml']],
    ['the configuration', ['check', 'config', 'prometheus.yml']],
    ['that the alerts say what they should, and when', ['test', 'rules', 'alerts.test.yml']],
  ])('matches %s, according to promtool', async (_, args) => {
    const { succeeded, output } = await run(promtool, args, { cwd: folder })
    expect([succeeded, output]).toEqual([true, expect.stringContaining('SUCCESS')])
  })

  it.each(['alerts.yml', 'grafana-dashboard.json'])('contains every metric that %s uses', (file) => {
    const names = new Set(readExposition(everyFamily()).map(({ name }) => name))
    const asked = familiesIn(readFileSync(join(monitoring, file), 'utf8'))
    expect(asked.filter((name) => !names.has(name))).toEqual([])
    expect(asked.length).toBeGreaterThan(5)
  })

  it('has a dashboard with valid queries, according to promtool', async () => {
    const { panels } = JSON.parse(readFileSync(join(monitoring, 'grafana-dashboard.json'), 'utf8')) as {
      panels: { id: number; targets: { expr: string }[] }[]
    }
    const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    const rules = queries.map((expr, at) => ({
      record: `panel:${at}`,
      expr: expr.replaceAll('$instance', '.*'),
    }))
    // JSON is YAML.
    writeFileSync(join(folder, 'panels.yml'), JSON.stringify({ groups: [{ name: 'panels', rules }] }))
    const { succeeded, output } = await run(promtool, ['check', 'rules', 'panels.yml'], { cwd: folder })
    expect([succeeded, output]).toEqual([true, expect.stringContaining(`${queries.length} rules found`)])
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  })
})
