// Runs suites one after another in this process, as requested by the parent process.
import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(join(process.cwd(), 'package.json'))
const { runCLI } = createRequire(require.resolve('jest'))('@jest/core')
const environment = { ...process.env }
// The global setup of the integration tests starts a Redis server, which these suites do not need.
const NEEDS_NO_SERVER = /^(?:unit|integration\/guards)\//

// The parent process was interrupted.
process.on('disconnect', () => process.exit(1))

process.on('message', (suite) => void runSuite(String(suite)))

async function runSuite(suite) {
  // The global setup must run again, because what it started is stopped after each run.
  process.env = { ...environment }
  // The folder of a suite tells its project.
  const [folder, rest] = [suite.slice(0, suite.indexOf('/')), suite]
  const selectProjects = folder === 'unit' ? ['unit', 'deep'] : [folder]
  try {
    const { results } = await runCLI(
      {
        $0: 'jest',
        _: [],
        selectProjects,
        testPathPatterns: [`test/${rest}`],
        passWithNoTests: true,
        runInBand: true,
        reporters: [],
        silent: true,
        testTimeout: 30_000,
        testEnvironment: join(import.meta.dirname, 'bail-environment.mjs'),
        ...(NEEDS_NO_SERVER.test(suite) ? { globalSetup: null, globalTeardown: null } : {}),
      },
      [process.cwd()],
    )
    process.send(answerOf(results))
  } catch (error) {
    process.send({ tests: 1, failure: `jest failed: ${String(error)}` })
  }
}

function answerOf({ success, numTotalTests, numTotalTestSuites, testResults }) {
  const failed = testResults.flatMap(({ testResults: tests }) =>
    tests.filter(({ status }) => status === 'failed'),
  )
  const broken = testResults.find(({ testExecError }) => testExecError != null)
  const failure =
    failed[0]?.fullName ??
    (broken === undefined ? undefined : `${broken.testFilePath} does not run`) ??
    (success ? undefined : 'the run failed')
  return { tests: numTotalTestSuites === 0 ? 0 : numTotalTests || 1, failure }
}
