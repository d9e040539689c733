import { describe, expect, it } from '@jest/globals'
import { run } from '../../support/commands.ts'
import { compiled } from '../../support/compiled.ts'

describe('memoryNonces flooded with 300,000 nonces, in a heap of 48 MB', () => {
  const flood = (max: number) =>
    run(process.execPath, ['--max-old-space-size=48', compiled('test/support/nonce-flood.ts'), String(max)])

  it('stores as many as it may', async () => {
    expect(await flood(30_000)).toEqual({ succeeded: true, output: '30000' })
  })

  it('would run out of memory if it stored all of them, so the test above can fail', async () => {
    const { succeeded, output } = await flood(300_000)
    expect(succeeded).toBe(false)
    expect(output).toMatch(/heap out of memory/)
  })
})
