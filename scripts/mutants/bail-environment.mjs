import { TestEnvironment } from 'jest-environment-node'

/** After the first failure the other tests of a file say nothing new. */
export default class BailEnvironment extends TestEnvironment {
  #failed = false

  handleTestEvent({ name, test }) {
    if (name === 'test_fn_failure' || name === 'hook_failure') this.#failed = true
    else if (name === 'test_start' && this.#failed) test.mode = 'skip'
  }
}
