import { TestEnvironment } from 'jest-environment-node'

/** Skips the tests of a file after the first failure, because one failure is enough to detect a fault. */
export default class BailEnvironment extends TestEnvironment {
  #failed = false

  handleTestEvent({ name, test }) {
    // A failed hook does not skip tests: each of them fails at once, and a skipped test would count as passed.
    if (name === 'test_fn_failure') this.#failed = true
    else if (name === 'test_start' && this.#failed) test.mode = 'skip'
  }
}
