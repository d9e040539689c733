/**
 * Records the decisions for generated requests to a real server, and judges all of them again. Then plants twenty
 * changes of policies and of guard code, one at a time, and judges again with each.
 *
 * `npm run proof:rejudge -- --decisions 1000000` takes about ten minutes. Exits with 1 if a decision differs without a
 * planted change, or if a planted change is not detected.
 */
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readEvents, serialiseEvent, type AuditEvent } from '../../src/audit/index.ts'
import { rejudge, type RejudgeReport } from '../../src/index.ts'
import {
  JUDGED_KEY,
  JUDGED_LISTS,
  JUDGED_POLICIES,
  recordRequests,
} from '../../test/support/judged-requests.ts'
import { PLANTED_CODE, PLANTED_POLICIES } from '../../test/support/planted-changes.ts'
import { PlantedCopy } from '../../test/support/planted-code.ts'

const { values } = parseArgs({
  options: {
    decisions: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
  },
})
/** The number of requests sent at a time. */
const ROUND = 20_000

const folder = mkdtempSync(join(tmpdir(), 'portcullis-rejudge-'))
const all = join(folder, 'all')
const few = join(folder, 'few')

async function record(): Promise<number> {
  const [whole, part] = [createWriteStream(all), createWriteStream(few)]
  let decisions = 0
  for (let round = 0; decisions < Number(values.decisions); round += 1) {
    const take = (event: AuditEvent): void => {
      const line = `${serialiseEvent(event)}\n`
      whole.write(line)
      if (round === 0) part.write(line)
      if (event.kind === 'operation') decisions += event.decisions.length
    }
    await recordRequests(ROUND, Number(values.seed) + round, take)
    if (whole.writableNeedDrain) await once(whole, 'drain')
  }
  whole.end()
  part.end()
  await Promise.all([once(whole, 'close'), once(part, 'close')])
  return decisions
}

const judge = (path: string, policyOf: (appId: string) => unknown): Promise<RejudgeReport> =>
  rejudge({
    events: readEvents(createReadStream(path)),
    key: JUDGED_KEY,
    policyOf,
    listOf: (name) => JUDGED_LISTS[name],
  })

let failed = 0
try {
  console.log(`${await record()} decisions recorded`)
  const began = performance.now()
  const report = await judge(all, (appId) => JUDGED_POLICIES[appId])
  const seconds = (performance.now() - began) / 1_000
  const { decisions, same, different, notJudged } = report
  console.log(
    `${decisions} judged again in ${seconds.toFixed(0)} s: ${same} the same, ${different} different, not judged: ${JSON.stringify(notJudged)} ` +
      `(${((100 * (decisions - same - different)) / decisions).toFixed(1)} %)`,
  )
  failed += different
  for (const [name, draft] of Object.entries(PLANTED_POLICIES)) {
    const found = await judge(few, (appId) => (appId === draft.appId ? draft : JUDGED_POLICIES[appId]))
    console.log(`policy: ${name}: ${found.different} different`)
    if (found.different === 0) failed += 1
  }
  for (const [name, planted] of Object.entries(PLANTED_CODE)) {
    const copy = new PlantedCopy(planted)
    const found = await copy.rejudge(few)
    copy.remove()
    console.log(`code: ${name}: ${found.different} different`)
    if (found.different === 0) failed += 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failed === 0 ? 0 : 1
