/**
 * If something keeps jest alive after the last test, jest only warns and waits forever. This reporter makes it fail.
 */
export default class OpenHandlesReporter {
  #watches

  constructor({ watch, watchAll }) {
    this.#watches = watch || watchAll
  }

  onRunComplete() {
    if (this.#watches) return
    // These timers are unreferenced, so they do not keep the process alive themselves.
    setTimeout(endWorkers, 5_000).unref()
    setTimeout(() => {
      console.error(`Still open 10 s after the last test: ${process.getActiveResourcesInfo().join(', ')}.`)
      console.error('Find it with `npx jest --detectOpenHandles`.')
      process.exit(1)
    }, 10_000).unref()
  }
}

/**
 * Ends workers that jest has left running. With `workerIdleMemoryLimit`, jest replaces a worker even after the last
 * test. If the new worker starts while jest stops all workers, jest forgets it, and it waits forever.
 */
function endWorkers() {
  // oxlint-disable-next-line no-underscore-dangle -- there is no public API for a child without a reference
  for (const handle of process._getActiveHandles()) {
    if (handle.spawnargs?.some((argument) => /jest-worker.*processChild/.test(argument)))
      handle.kill('SIGKILL')
  }
}
