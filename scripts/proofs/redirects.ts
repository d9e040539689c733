/**
 * Sends generated targets to three servers that disagree about where a person belongs, and follows every redirect as a
 * browser does. Exits with 1 if it finds a loop, a redirect to a place other than the configured bases, or a redirect
 * that may be cached.
 *
 * --requests N  default 1,000,000. --seed N  default 1
 */
import { parseArgs } from 'node:util'
import { fuzzRedirects } from '../../test/support/redirects.ts'
import { seededRandom } from '../../test/support/seeded.ts'

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '1000000' }, seed: { type: 'string', default: '1' } },
})
const report = await fuzzRedirects(Number(values.requests), seededRandom(Number(values.seed)))
console.log(
  `seed ${values.seed}, Node ${process.version}: ${report.requests} requests, ${report.redirects} redirects, ` +
    `${report.refused} refused, ${report.admitted} admitted, ${report.problems.length} problems`,
)
for (const problem of report.problems.slice(0, 20)) console.log(problem)
process.exitCode = report.problems.length === 0 ? 0 : 1
