import { compareStoredPolicies } from '../../explain/compare-policies.ts'
import type { PolicyComparison, Verdict } from '../../policy/compare/compare.ts'
import { EXIT, textOf, type Surroundings } from '../command.ts'
import { paint, plain, show, type Colour } from '../output.ts'
import { withPolicies } from './named-policy.ts'

const COLOURS: Readonly<Record<Verdict, Colour>> = {
  equal: 'dim',
  narrower: 'green',
  wider: 'red',
  both: 'red',
}

export const comparePoliciesOf = withPolicies(async (invocation, reader) => {
  const [before = '', after = ''] = invocation.positionals
  const [old, young] = [await reader.read(before), await reader.read(after)]
  const comparison = await compareStoredPolicies(old.document, young.document, { lists: reader.lists })
  const { verdict, sentence, gained, lost, protections, changes } = comparison
  await show(invocation, comparisonLines(invocation, comparison), {
    before: { policy: before, revision: old.revision },
    after: { policy: after, revision: young.revision },
    verdict,
    sentence,
    gained,
    lost,
    protections,
    changes,
  })
  return isNo(verdict, textOf(invocation.values, 'fail-on')) ? EXIT.no : EXIT.ok
})

/** Whether a verdict matches `--fail-on`. */
export function isNo(verdict: Verdict, limit = 'wider'): boolean {
  if (limit === 'differs') return verdict !== 'equal'
  return verdict === 'both' || verdict === limit
}

function comparisonLines(
  surroundings: Surroundings,
  { verdict, sentence, protections }: PolicyComparison,
): string[] {
  const lines = Object.entries(protections).flatMap(([guard, protection]) =>
    protection.verdict === 'equal'
      ? []
      : [
          `${guard}: ${paint(surroundings, COLOURS[protection.verdict], protection.verdict)}`,
          ...[protection.gained, protection.lost].flatMap((witness) =>
            witness === undefined ? [] : [`  ${plain(witness.sentence)} (${plain(witness.path)})`],
          ),
        ],
  )
  return [`${paint(surroundings, COLOURS[verdict], verdict)}: ${plain(sentence)}`, ...lines]
}
