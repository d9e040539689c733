const { default: Sequencer } = require('@jest/test-sequencer')

/** Runs the projects with the longest files first, so that no worker is left with one of them at the end. */
const LONG_FIRST = ['deep', 'browser']

module.exports = class LongFirst extends Sequencer {
  sort(tests) {
    const rank = ({ context }) => {
      const at = LONG_FIRST.indexOf(context.config.displayName?.name)
      return at === -1 ? LONG_FIRST.length : at
    }
    return super.sort(tests).toSorted((one, other) => rank(one) - rank(other))
  }
}
