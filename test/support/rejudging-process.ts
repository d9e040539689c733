// Rejudges recorded requests, for tests that run it from a changed copy. Reads events from standard input, and prints
// the report.
import { createInterface } from 'node:readline'
import { readEvents } from '../../src/audit/index.ts'
import { rejudge } from '../../src/index.ts'
import { JUDGED_KEY, JUDGED_LISTS, JUDGED_POLICIES } from './judged-requests.ts'

async function* lines(): AsyncGenerator<string> {
  for await (const line of createInterface({ input: process.stdin })) yield `${line}\n`
}
const report = await rejudge({
  events: readEvents(lines()),
  key: JUDGED_KEY,
  policyOf: (appId) => JUDGED_POLICIES[appId],
  listOf: (name) => JUDGED_LISTS[name],
})
process.stdout.write(JSON.stringify({ ...report, differences: report.differences.slice(0, 3) }))
