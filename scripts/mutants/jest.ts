import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'

/** A jest process that is reused, and replaced if it hangs or after many runs. */
export interface Jest {
  /** Runs a suite. Resolves with the title of the first failure, or with `undefined` if all tests passed. */
  run(suite: string): Promise<string | undefined>
  /** The reason why a suite cannot detect faults: it fails or is empty without one. Runs each suite only once. */
  isGreen(suite: string): Promise<string | undefined>
  stop(): Promise<void>
}

interface Answer {
  readonly tests: number
  readonly failure?: string
}

/** A process is replaced after this many runs, because jest leaks memory with every run. */
const RUNS_OF_A_PROCESS = 150
/** The time limit of a run in milliseconds, because a fault may cause an endless loop. */
const HANGS_AFTER = 300_000

export function createJest(folder: string): Jest {
  const green = new Map<string, string | undefined>()
  let child: ChildProcess | undefined
  let runs = 0

  async function stop(): Promise<void> {
    const ended = child
    child = undefined
    if (ended === undefined || ended.exitCode !== null || ended.signalCode !== null) return
    const exited = new Promise((settle) => ended.once('exit', settle))
    ended.kill('SIGKILL')
    await exited
  }

  async function ask(suite: string): Promise<Answer> {
    if (runs >= RUNS_OF_A_PROCESS) await stop()
    if (child === undefined) {
      child = fork(join(import.meta.dirname, 'jest-process.mjs'), [], {
        cwd: folder,
        execArgv: ['--max-old-space-size=4096'],
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      })
      runs = 0
    }
    runs += 1
    const current = child
    const answer = await new Promise<Answer>((settle) => {
      const hangs = setTimeout(() => finish({ tests: 1, failure: 'it hangs' }), HANGS_AFTER)
      const ended = (): void => finish({ tests: 1, failure: 'the test process exited' })
      const finish = (result: Answer): void => {
        clearTimeout(hangs)
        current.off('exit', ended).off('message', finish)
        settle(result)
      }
      current.once('exit', ended).once('message', finish)
      current.send(suite)
    })
    if (answer.failure?.startsWith('it hangs') === true || current.exitCode !== null) await stop()
    return answer
  }

  return {
    run: async (suite) => (await ask(suite)).failure,
    async isGreen(suite) {
      if (!green.has(suite)) {
        const { tests, failure } = await ask(suite)
        const problem = failure ?? (tests === 0 ? 'there are no tests' : undefined)
        green.set(suite, problem === undefined ? undefined : `${suite} without the fault: ${problem}`)
      }
      return green.get(suite)
    },
    stop,
  }
}
