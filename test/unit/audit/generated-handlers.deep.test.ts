import { describe, expect, it } from '@jest/globals'
import { serveGenerated } from '../../support/generated-handlers.ts'

describe('10,000 generated handlers', () => {
  it('send no personal value without its event, and each value that goes past the audit is found', async () => {
    const { values, bypasses } = await serveGenerated(10_000)
    console.info(`${values} values, ${bypasses} of them past the audit`)
    expect(bypasses).toBeGreaterThan(1_000)
  }, 600_000)
})
