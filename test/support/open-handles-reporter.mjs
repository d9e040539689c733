/** Jest only warns when something keeps it alive after the last test, and waits for ever. This makes it a failure. */
export default class OpenHandlesReporter {
  #watches

  constructor({ watch, watchAll }) {
    this.#watches = watch || watchAll
  }

  onRunComplete() {
    if (this.#watches) return
    // Unreferenced: when nothing is open, these timers do not hold the process either.
    setTimeout(endWorkers, 5_000).unref()
    setTimeout(() => {
      console.error(`Still open 10 s after the last test: ${process.getActiveResourcesInfo().join(', ')}.`)
      console.error('Find it with `npx jest --detectOpenHandles`.')
      process.exit(1)
    }, 10_000).unref()
  }
}

/**
 * Ends what Jest has left of its own. With `workerIdleMemoryLimit` it renews a worker behind the last test too, and one that
 * comes up while all are ended is forgotten: it has no test, and waits for ever.
 */
function endWorkers() {
  // oxlint-disable-next-line no-underscore-dangle -- there is no public way to a child that nobody holds
  for (const handle of process._getActiveHandles()) {
    if (handle.spawnargs?.some((argument) => /jest-worker.*processChild/.test(argument)))
      handle.kill('SIGKILL')
  }
}
