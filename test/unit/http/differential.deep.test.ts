import { describe, expect, it } from '@jest/globals'
import express from 'express'
// @ts-expect-error -- Express 4 under another name, without types
import express4 from 'express4'
import { DENIALS } from 'portcullis'
import { RULE_NAMES } from '../../support/differential/compare.ts'
import { runDifferential, type Report } from '../../support/differential/run.ts'
import { documentedOrder, type MountName } from '../../support/differential/setups.ts'
import type { ExpressModule } from '../../support/differential/side.ts'
import { SEED } from '../../support/seeded.ts'

/** The timeout on a busy machine, in milliseconds. */
const LONG = 600_000

const run = (module: unknown, requests: number): Promise<Report> =>
  runDifferential({ express: module as ExpressModule, seed: SEED, requests })

/** Codes that cannot occur here: a failing sink depends on time, and only single mounts reveal unknown apps. */
const NOT_MET = ['APP_UNKNOWN', 'AUDIT_UNAVAILABLE']

describe(`single mounts and protect(), with the requests of TEST_SEED=${SEED}`, () => {
  it(
    'have the same results with 7,000 requests of all kinds on Express 5',
    async () => {
      const { differences, requests, codes, rules, fieldEvents } = await run(express, 7_000)
      expect(differences).toEqual([])
      expect(requests).toBeGreaterThanOrEqual(7_000)
      const met = Object.keys(codes)
      expect(Object.keys(DENIALS).filter((code) => !met.includes(code))).toEqual(NOT_MET)
      expect([codes['ALLOWED'], fieldEvents].every((count) => Number(count) > 250)).toBe(true)
      expect(RULE_NAMES.filter((name) => rules[name] === undefined)).toEqual([])
    },
    LONG,
  )

  it(
    'have the same results with 2,000 requests on Express 4',
    async () => {
      const { differences, requests } = await run(express4, 2_000)
      expect(differences).toEqual([])
      expect(requests).toBeGreaterThanOrEqual(2_000)
    },
    LONG,
  )
})

describe('the comparison detects', () => {
  const ORDER = documentedOrder({ appId: 'header', country: 'header', returnUrl: 'query', mountPath: '' })

  const differencesWith = async (
    order: (documented: readonly MountName[]) => MountName[],
  ): Promise<string> => {
    const options = { express: express as unknown as ExpressModule, seed: SEED, requests: 2_000, most: 1 }
    const report = await runDifferential({ ...options, order: (setup) => order(documentedOrder(setup)) })
    return report.differences.join('\n')
  }

  it.each(ORDER)('that %s is missing', async (name) => {
    const without = await differencesWith((order) => order.filter((other) => other !== name))
    expect(without).toMatch(/^(?:status|headers|body|decisions|events)$/m)
  })

  it.each(ORDER.slice(1).map((name, index) => [ORDER[index] as MountName, name] as const))(
    '%s and %s in the opposite order',
    async (one, other) => {
      const swapped = await differencesWith((order) =>
        order.map((name) => (name === one ? other : name === other ? one : name)),
      )
      expect(swapped).toMatch(/^(?:status|headers|body|decisions|events)$/m)
    },
  )
})
