import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { rejudge, type AuditEvent, type RejudgeOptions, type RejudgeReport } from 'portcullis'
import { serialiseEvent, type OperationEvent } from 'portcullis/audit'
import { JUDGED_KEY, JUDGED_LISTS, JUDGED_POLICIES, recordRequests } from '../../support/judged-requests.ts'
import { PLANTED_CODE, PLANTED_POLICIES } from '../../support/planted-changes.ts'
import { PlantedCopy } from '../../support/planted-code.ts'
import { SEED } from '../../support/seeded.ts'

const events: AuditEvent[] = []
const folder = mkdtempSync(join(tmpdir(), 'portcullis-rejudge-'))
const file = join(folder, 'events')

beforeAll(async () => {
  await recordRequests(1_500, SEED, (event) => events.push(event))
  writeFileSync(file, events.map((event) => `${serialiseEvent(event)}\n`).join(''))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const again = (options: Partial<RejudgeOptions> = {}): Promise<RejudgeReport> =>
  rejudge({
    events,
    key: JUDGED_KEY,
    policyOf: (appId) => JUDGED_POLICIES[appId],
    listOf: (name) => JUDGED_LISTS[name],
    ...options,
  })
const cannot = ({ notJudged }: RejudgeReport): object => ({ ...notJudged, 'not of the policy': 0 })
const NONE = { 'not recorded': 0, sealed: 0, policy: 0, list: 0, 'not of the policy': 0 }

describe('rejudge', () => {
  it('reaches every recorded decision again', async () => {
    const report = await again()
    expect({ seed: SEED, differences: report.differences }).toEqual({ seed: SEED, differences: [] })
    expect(cannot(report)).toEqual(NONE)
    expect(report.same).toBeGreaterThan(3_000)
    expect(report.same + report.notJudged['not of the policy']).toBe(report.decisions)
    // Control: the requests cover all cases.
    const codes = new Set(
      events.flatMap((event) => (event.kind === 'operation' ? event.decisions.map(({ code }) => code) : [])),
    )
    for (const code of [
      'SIGNATURE_REPLAYED',
      'SIGNATURE_INVALID',
      'SIGNATURE_REQUIRED',
      'ADDRESS_NOT_ALLOWED',
    ])
      expect(codes).toContain(code)
    for (const code of [
      'ORIGIN_NOT_ALLOWED',
      'RETURN_URL_NOT_ALLOWED',
      'REGION_MISDIRECTED',
      'REGION_UNKNOWN',
    ])
      expect(codes).toContain(code)
  })

  it.each(Object.entries(PLANTED_POLICIES))('detects a policy in which %s', async (_name, draft) => {
    const report = await again({
      policyOf: (appId) => (appId === draft.appId ? draft : JUDGED_POLICIES[appId]),
    })
    expect(report.different).toBeGreaterThan(0)
    expect(report.differences.every(({ appId }) => appId === draft.appId)).toBe(true)
  })

  it('judges the same with the same sources in another process', async () => {
    const copy = new PlantedCopy(undefined)
    const report = await copy.rejudge(file)
    copy.remove()
    expect([report.different, report.same]).toEqual([0, (await again()).same])
  })

  it.each(Object.entries(PLANTED_CODE))('detects guards in which %s', async (_name, planted) => {
    const copy = new PlantedCopy(planted)
    const report = await copy.rejudge(file)
    copy.remove()
    expect(report.different).toBeGreaterThan(0)
  })

  it('detects a refusal whose code has changed', async () => {
    const refused = events.find(
      (event) =>
        event.kind === 'operation' &&
        event.decisions.some(({ code, effect }) => effect === 'deny' && code === 'ORIGIN_NOT_ALLOWED'),
    ) as OperationEvent
    const decisions = refused.decisions.map((decision) =>
      decision.code === 'ORIGIN_NOT_ALLOWED' ? { ...decision, code: 'ORIGIN_REQUIRED' as const } : decision,
    )
    const { differences } = await again({ events: [{ ...refused, decisions }] })
    expect(differences.map(({ recorded, now }) => [recorded.code, now.code])).toEqual([
      ['ORIGIN_REQUIRED', 'ORIGIN_NOT_ALLOWED'],
    ])
  })

  it('counts decisions that cannot be judged again, by reason', async () => {
    const operations = events.filter(({ kind }) => kind === 'operation').length
    expect(operations).toBeGreaterThan(1_000)
    const otherKey = await again({ key: new Uint8Array(32).fill(8) })
    expect(otherKey.same).toBe(0)
    expect(otherKey.notJudged.sealed).toBeGreaterThan(0)
    const forgotten = await again({
      policyOf: (appId) => (appId === 'shop' ? undefined : JUDGED_POLICIES[appId]),
    })
    expect(forgotten.notJudged.policy).toBeGreaterThan(0)
    expect(forgotten.different).toBe(0)
    const noLists = await again({ listOf: () => undefined })
    expect(noLists.notJudged.list).toBeGreaterThan(0)
    expect(noLists.different).toBe(0)
    // The list has the same name and revision, but other contents.
    const otherList = await again({ listOf: () => [{ range: '0.0.0.0/0' }] })
    expect(otherList.notJudged.list).toBe(noLists.notJudged.list)
    expect(otherList.different).toBe(0)
    // Destroying the key of one app does not affect the others.
    const destroyed = await again({ key: (appId) => (appId === 'lab' ? undefined : new Uint8Array(32)) })
    expect(destroyed.notJudged.sealed).toBeGreaterThan(0)
  })

  it('detects facts that were moved to another request', async () => {
    const [one, other] = events.filter(
      (event) => event.kind === 'operation' && event.appId === 'shop' && event.judged !== undefined,
    )
    const moved = { ...one, judged: (other as { judged?: string }).judged } as AuditEvent
    expect((await again({ events: [moved] })).notJudged.sealed).toBeGreaterThan(0)
  })

  it('stores no address, origin, country or return URL that is readable without the key', () => {
    const text = events.map(serialiseEvent).join('\n')
    for (const value of ['203.0.113.7', 'shop.example/back/1', 'evil.example/', '"DE"']) {
      expect(text).not.toContain(value)
    }
  })

  it('stores nothing unless it is enabled', async () => {
    const plain: AuditEvent[] = []
    await recordRequests(20, SEED, (event) => plain.push(event), false)
    expect(plain.some((event) => 'judged' in event)).toBe(false)
    expect((await again({ events: plain })).notJudged['not recorded']).toBeGreaterThan(0)
  })
})
