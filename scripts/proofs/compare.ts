/**
 * Compares generated pairs of policies, and checks the results with the guards: they must confirm every witness, and
 * judge random requests as the verdict says. Run it with `npm run proof:compare`. If it finds a contradiction, it
 * prints it and exits with 1.
 *
 * --pairs N   the number of pairs; default 100,000
 * --seed N    the seed of the generator; default 1. The same seed generates the same pairs
 * --from N    the part to start with; default 0. A part has 5,000 pairs, so an interrupted run can be continued
 */
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { contradictions, newTally } from '../../test/support/compare/confirm.ts'
import { pairs, type Pair } from '../../test/support/compare/pairs.ts'
import { requests } from '../../test/support/compare/requests.ts'

const PART = 5_000
const REQUESTS = 8

const { values: given } = parseArgs({
  options: {
    pairs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
  },
})

const [count, seed, from] = [given.pairs, given.seed, given.from].map(Number) as [number, number, number]
const tally = newTally()
const property = fc.property(
  pairs,
  fc.array(requests, { minLength: REQUESTS, maxLength: REQUESTS }),
  (pair, asked) => {
    const found = contradictions(pair, asked, tally)
    if (found.length > 0) throw new Error(found.join('\n'))
  },
)

function printed(pair: Pair | undefined): string {
  return JSON.stringify(pair, (_key, value: unknown) => (value instanceof Map ? [...value] : value), 1)
}

function list(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts).toSorted(([one], [other]) => (one < other ? -1 : 1))
  return entries.map(([name, times]) => `${name} ${times}`).join(', ')
}

const parts = Math.ceil(count / PART)
console.log(`Node ${process.versions.node}, seed ${seed}, parts ${from} to ${parts - 1}`)
for (let part = from; part < parts; part += 1) {
  const numRuns = Math.min(PART, count - part * PART)
  const result = fc.check(property, { numRuns, seed: seed * 1_000_003 + part })
  if (result.failed) {
    const [pair] = result.counterexample ?? []
    const error = result.errorInstance instanceof Error ? result.errorInstance.message : ''
    console.log(
      `${error}\n${printed(pair)}\npart ${part}: a contradiction. To repeat: --seed ${seed} --from ${part}`,
    )
    process.exit(1)
  }
  console.log(`part ${part}: ${numRuns} pairs, ${numRuns * REQUESTS} requests, no contradiction`)
}
console.log(`verdicts: ${list(tally.verdicts)}`)
console.log(`witnesses, all confirmed: ${list(tally.witnesses)}`)
console.log(`requests that the two policies judge differently: ${list(tally.differing)}`)
