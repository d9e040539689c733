import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

// Handed on under another name, so that a server which a test starts does not take the REDIS_URL of the machine.
if (process.env.REDIS_URL) {
  process.env.TEST_REDIS_URL ??= process.env.REDIS_URL
  delete process.env.REDIS_URL
}

/** Test files that try their properties less often in `unit` than in `deep`: see `test/support/runs.ts`. */
function testsWithRuns() {
  return readdirSync(join(import.meta.dirname, 'test/unit'), { recursive: true, encoding: 'utf8' })
    .map((name) => `test/unit/${name.replaceAll('\\', '/')}`)
    .filter(
      (name) =>
        name.endsWith('.test.ts') &&
        readFileSync(join(import.meta.dirname, name), 'utf8').includes("support/runs.ts'"),
    )
}

/**
 * Whether all projects run. `deep` then runs these files with all runs of their properties, and it would only repeat the
 * same tests with fewer runs if `unit` ran them too.
 */
const everything = !process.argv.some((argument) => /^--(?:selectProjects|ignoreProjects)\b/.test(argument))

const DEEP = '\\.deep\\.test\\.ts$'

const express4 = { '^express$': 'express4' }

const base = {
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  testEnvironment: 'node',
  moduleNameMapper: {
    '^portcullis$': '<rootDir>/src/index.ts',
    '^portcullis/(.*)$': '<rootDir>/src/$1/index.ts',
    ...(process.env.EXPRESS === '4' ? express4 : {}),
  },
}

const redis = {
  globalSetup: '<rootDir>/test/support/redis-setup.ts',
  globalTeardown: '<rootDir>/test/support/redis-teardown.ts',
}

export default {
  // Many tests wait for Redis, a browser or another process: two workers for each core keep the cores busy.
  maxWorkers: 2 * availableParallelism(),
  // A worker keeps much of each file that it has run; what counts work by V8's counters walks through all of it.
  workerIdleMemoryLimit: '500MB',
  // Tells a test that hangs, and not a machine that is busy.
  testTimeout: 120_000,
  testSequencer: '<rootDir>/test/support/long-first.cjs',
  reporters: ['default', '<rootDir>/test/support/open-handles-reporter.mjs'],
  projects: [
    {
      ...base,
      displayName: 'unit',
      testMatch: ['<rootDir>/test/unit/**/*.test.ts'],
      testPathIgnorePatterns: [
        DEEP,
        ...(everything ? testsWithRuns().map((name) => `^<rootDir>/${name.replaceAll('.', '\\.')}$`) : []),
      ],
    },
    // What takes too long to wait for while one works: floods, oracles over millions, proofs over automata, and all runs
    // of the properties.
    {
      ...base,
      displayName: 'deep',
      globals: { DEEP: true },
      testMatch: [
        '<rootDir>/test/unit/**/*.deep.test.ts',
        ...testsWithRuns().map((name) => `<rootDir>/${name}`),
      ],
    },
    { ...base, ...redis, displayName: 'integration', testMatch: ['<rootDir>/test/integration/**/*.test.ts'] },
    {
      ...base,
      ...redis,
      displayName: 'integration-express4',
      testMatch: ['<rootDir>/test/integration/guards/**/*.test.ts'],
      moduleNameMapper: { ...base.moduleNameMapper, ...express4 },
    },
    // On packages with a lock of their own, which are installed when they are missing.
    {
      ...base,
      displayName: 'frameworks',
      testMatch: ['<rootDir>/test/frameworks/*.test.ts'],
      globalSetup: '<rootDir>/test/frameworks/setup.ts',
    },
    // On libraries and a PostgreSQL server, which are installed when they are missing.
    {
      ...base,
      displayName: 'libraries',
      testMatch: ['<rootDir>/test/libraries/*.test.ts'],
      globalSetup: '<rootDir>/test/libraries/setup.ts',
    },
    {
      ...base,
      displayName: 'browser',
      testMatch: ['<rootDir>/test/browser/**/*.test.ts'],
      globalSetup: '<rootDir>/test/support/chromium-setup.ts',
    },
    {
      ...base,
      displayName: 'package',
      testMatch: ['<rootDir>/test/package/**/*.test.ts'],
      // Nothing here may see the sources: the consumers resolve the packed tarball.
      moduleNameMapper: {},
    },
  ],
}
