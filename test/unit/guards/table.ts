import { describe, expect, it } from '@jest/globals'
import type { Evidence, GuardName } from '../../../src/decision.ts'
import type { Guard } from '../../../src/guards/guard.ts'
import { compilePolicy } from '../../../src/policy/compile.ts'
import type { NamedLists } from '../../../src/policy/named-lists.ts'
import { readPolicy } from '../../../src/policy/parse.ts'

/** What a guard answers, beside its code: what is left out is not compared. */
interface Expected<Outcome> {
  /** `undefined`: there must be no outcome. */
  readonly outcome?: Outcome | undefined
  readonly evidence?: Evidence
}

/** One judgement: what it is about, the section without its mode, what differs from the usual facts, the code. */
export type GuardRow<Facts, Outcome> = readonly [
  sentence: string,
  section: object,
  facts: Partial<Facts>,
  code: string,
  expected?: Expected<Outcome>,
]

/** A guard, the facts of a usual request, and the named lists that exist. */
interface Table<Facts, Outcome> {
  readonly name: GuardName
  readonly guard: Guard<Facts, Outcome>
  readonly facts: Facts
  readonly lists?: NamedLists
}

/**
 * Tests a guard by a table of values. Each row is judged in `enforce` and in `report`, which differ in the mode of the
 * decision alone; with the section off or missing, no facts change the answer.
 */
export function describeGuard<Facts, Outcome>(
  { name, guard, facts: usual, lists }: Table<Facts, Outcome>,
  rows: readonly GuardRow<Facts, Outcome>[],
): void {
  const judge = (section: object | undefined, facts: Partial<Facts>) => {
    const document = { appId: 'a', ...(section !== undefined && { [name]: section }) }
    return guard(compilePolicy(readPolicy(document), lists), { ...usual, ...facts })
  }

  describe(`${name} in a table of values`, () => {
    it.each(rows.map((row) => ({ row, what: row[0] })))(
      '$what',
      ({ row: [, section, facts, code, expected = {}] }) => {
        const { decision, outcome } = judge({ ...section, mode: 'enforce' }, facts)
        expect(decision).toMatchObject({
          guard: name,
          mode: 'enforce',
          effect: code === 'ALLOWED' ? 'allow' : 'deny',
          code,
        })
        if ('outcome' in expected) expect(outcome).toEqual(expected.outcome)
        if (expected.evidence !== undefined) expect(decision.evidence).toEqual(expected.evidence)
        const reported = judge({ ...section, mode: 'report' }, facts).decision
        expect(reported).toEqual({ ...decision, mode: 'report' })
      },
    )

    it('refuses whatever is sent while the policy has no section', () => {
      for (const [, , facts] of rows)
        expect(judge(undefined, facts).decision).toMatchObject({
          effect: 'deny',
          mode: 'enforce',
          code: 'PROTECTION_NOT_CONFIGURED',
        })
    })

    it('allows whatever is sent while the section is off', () => {
      for (const [, section, facts] of rows)
        expect(judge({ ...section, mode: 'off' }, facts).decision).toMatchObject({
          effect: 'allow',
          mode: 'off',
          code: 'PROTECTION_OFF',
        })
    })
  })
}
