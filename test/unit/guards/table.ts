import { describe, expect, it } from '@jest/globals'
import type { Evidence, GuardName } from '../../../src/decision.ts'
import type { Guard } from '../../../src/guards/guard.ts'
import { compilePolicy } from '../../../src/policy/compile.ts'
import type { NamedLists } from '../../../src/policy/named-lists.ts'
import { readPolicy } from '../../../src/policy/parse.ts'

/** The expected answer of a guard in addition to its code. Missing members are not compared. */
interface Expected<Outcome> {
  /** `undefined` if there must be no outcome. */
  readonly outcome?: Outcome | undefined
  readonly evidence?: Evidence
}

/** A case: its description, the section without its mode, the differences from the usual facts, and the code. */
export type GuardRow<Facts, Outcome> = readonly [
  sentence: string,
  section: object,
  facts: Partial<Facts>,
  code: string,
  expected?: Expected<Outcome>,
]

/** A guard, the facts of a usual request, and the existing named lists. */
interface Table<Facts, Outcome> {
  readonly name: GuardName
  readonly guard: Guard<Facts, Outcome>
  readonly facts: Facts
  readonly lists?: NamedLists
}

/**
 * Tests a guard with a table of values. Each row is judged in `enforce` and in `report`, which differ only in the mode
 * of the decision. If the section is off or missing, the facts do not change the answer.
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
