import { describe, expect, it } from '@jest/globals'
import { outage } from '../../support/audit-outage.ts'

/** The short form of `npm run proof:audit-outage`. */
describe('an audited server whose Redis is unreachable', () => {
  it.each(['killed', 'paused'] as const)(
    'serves everybody while Redis is %s, stores all events once afterwards, and does not keep them in memory',
    async (how) => {
      const { growth, backlog, spool, delivered, ...counts } = await outage({ away: 3_000, rate: 50, how })
      expect(counts).toMatchObject({ refused: 0, unaudited: 0, doubled: 0, problems: [] })
      expect([delivered, backlog, spool].map((count) => count > 0)).toEqual([true, true, true])
      expect(growth).toBeLessThan(100_000_000)
    },
    300_000,
  )
})
