import { describe, expect, it } from '@jest/globals'
import { createLog } from '../../../example-server/log.ts'

describe('the log', () => {
  const hostile = 'x\n2026-01-01 gateway: sign-in result="ok"\u001b[2J'

  for (const production of [true, false]) {
    it(`keeps caller input on one line, ${production ? 'as JSON' : 'as plain text'}`, () => {
      const lines: string[] = []
      createLog({ production, write: (line) => lines.push(line) })('refused', { app: hostile })
      expect(lines.length).toBe(1)
      expect(lines[0]).not.toMatch(/[\n\u001b]/)
      if (production)
        expect(JSON.parse(lines[0] ?? '')).toMatchObject({
          event: 'refused',
          app: hostile,
          time: expect.any(String),
        })
    })
  }

  it('writes events that strangers cause once a minute, with their number', () => {
    const lines: string[] = []
    let now = 0
    const log = createLog({ production: false, write: (line) => lines.push(line), now: () => now })
    for (let count = 0; count < 1_000; count += 1) log.seldom('refused', { code: 'LIMIT_REACHED' })
    log.seldom('refused', { code: 'OTHER' })
    now = 60_000
    log.seldom('refused', { code: 'LIMIT_REACHED' })
    expect(lines).toEqual([
      'gateway: refused code="LIMIT_REACHED"',
      'gateway: refused code="OTHER"',
      'gateway: refused code="LIMIT_REACHED" since_last_line=999',
    ])
  })
})
