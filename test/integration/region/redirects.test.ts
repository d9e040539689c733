import { describe, expect, it } from '@jest/globals'
import { fuzzRedirects } from '../../support/redirects.ts'
import { SEED, seededRandom } from '../../support/seeded.ts'

// The short form of `npm run proof:redirects`, which sends a million.

describe('redirects of regionPin', () => {
  it(`happen once, lead to a configured base, and are never cached, whatever the target (TEST_SEED=${SEED})`, async () => {
    const { problems, redirects, refused, admitted } = await fuzzRedirects(4_000, seededRandom())
    expect(problems).toEqual([])
    for (const count of [redirects, refused, admitted]) expect(count).toBeGreaterThan(200)
  })
})
