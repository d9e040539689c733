import { execFileSync } from 'node:child_process'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { compiled } from '../../support/compiled.ts'

interface Walked {
  readonly reached: readonly string[]
  readonly objects: number
}

let walked: Readonly<Record<'europe' | 'world' | 'store' | 'leaking', Walked>>

beforeAll(() => {
  const output = execFileSync(process.execPath, [compiled('test/support/region-graph.ts')], {
    encoding: 'utf8',
  })
  walked = JSON.parse(output) as typeof walked
})

describe('everything that is reachable', () => {
  it('from a European handle are the clients of London and Frankfurt, and not that of Dallas', () => {
    expect(walked.europe.reached).toEqual(['frankfurt', 'london'])
    expect(walked.europe.objects).toBeGreaterThan(100)
  })

  it('from the handle of the world is the client of Dallas, and no other', () => {
    expect(walked.world.reached).toEqual(['dallas'])
  })

  it('includes closures and private fields: the store reaches everything, and so does a leaking handle', () => {
    expect(walked.store.reached).toEqual(['dallas', 'frankfurt', 'london'])
    expect(walked.leaking.reached).toContain('dallas')
  })
})
