import { TestEnvironment } from 'jest-environment-node'

/** After the first failure the other tests of a file say nothing new. */
export default class BailEnvironment extends TestEnvironment {
  #failed = false

  handleTestEvent({ name, test }) {
    // After a failed hook nothing is skipped: each of its tests fails at once, and a skipped one would count as passed.
    if (name === 'test_fn_failure') this.#failed = true
    else if (name === 'test_start' && this.#failed) test.mode = 'skip'
  }
}
