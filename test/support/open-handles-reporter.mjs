/** Jest only warns when something keeps it alive after the last test, and waits for ever. This makes it a failure. */
export default class OpenHandlesReporter {
  #watches

  constructor({ watch, watchAll }) {
    this.#watches = watch || watchAll
  }

  onRunComplete() {
    if (this.#watches) return
    // Unreferenced: when nothing is open, this timer does not hold the process either.
    setTimeout(() => {
      console.error(`Still open 10 s after the last test: ${process.getActiveResourcesInfo().join(', ')}.`)
      console.error('Find it with `npx jest --detectOpenHandles`.')
      process.exit(1)
    }, 10_000).unref()
  }
}
