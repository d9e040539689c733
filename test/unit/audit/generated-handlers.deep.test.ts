import { describe, expect, it } from '@jest/globals'
import { serveGenerated } from '../../support/generated-handlers.ts'

/** `GENERATED_HANDLERS=10000` runs the complete proof, which takes a few minutes. */
const count = Number(process.env['GENERATED_HANDLERS'] ?? 1_000)

describe('generated handlers', () => {
  it('send no personal value without its event, and each value that bypasses the audit is detected', async () => {
    const { values, bypasses } = await serveGenerated(count)
    console.info(`${values} values, ${bypasses} of them past the audit`)
    expect(bypasses).toBeGreaterThan(count / 20)
  }, 900_000)
})
