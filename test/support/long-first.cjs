const { default: Sequencer } = require('@jest/test-sequencer')

/** The project whose files take longest begins first, so that no worker is left with one of them at the end. */
module.exports = class LongFirst extends Sequencer {
  sort(tests) {
    const isDeep = ({ context }) => Number(context.config.displayName?.name === 'deep')
    return super.sort(tests).toSorted((one, other) => isDeep(other) - isDeep(one))
  }
}
