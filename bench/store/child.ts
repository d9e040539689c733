import { fork, type ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PolicySource } from 'portcullis'
import type { PolicyStore } from 'portcullis/store'
import type { Row } from './table.ts'

/** A measurement that runs in its own process. */
export type Measurement = (url: string, apps: number) => Promise<readonly Row[]>

/** Forks this program with other arguments. */
export function forkRole(...args: readonly string[]): ChildProcess {
  return fork(process.argv[1] as string, args, { execArgv: [...process.execArgv, '--expose-gc'] })
}

/** The next message of a child process. Rejects if the child exits without a message. */
export function nextMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`a child process exited with ${code}`))
    child.once('exit', ended)
    child.once('message', (message) => {
      child.off('exit', ended)
      resolve(message as T)
    })
  })
}

export async function inChild(name: string, url: string, apps: number): Promise<readonly Row[]> {
  return nextMessage(forkRole(name, url, String(apps)))
}

/** The bytes in use, after garbage collections: the heap, and array buffers outside it. */
export async function memoryInUse(): Promise<number> {
  for (let times = 0; times < 3; times += 1) {
    await sleep(20)
    globalThis.gc?.()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** A store that counts its reads. */
export function counted(store: PolicyStore): PolicyStore & { reads: number } {
  const counting = {
    ...store,
    reads: 0,
    read(appId: string) {
      counting.reads += 1
      return store.read(appId)
    },
  }
  return counting
}

/** Loads apps, `atOnce` of them in parallel. */
export async function loadAll(policies: PolicySource, ids: readonly string[], atOnce = 500): Promise<void> {
  for (let from = 0; from < ids.length; from += atOnce) {
    await Promise.all(ids.slice(from, from + atOnce).map((appId) => policies.load(appId)))
  }
}

/** Waits until the change feed is connected, so that no policy is read again because the feed has just started. */
export async function feedOf(policies: PolicySource): Promise<void> {
  while (policies.status().feed !== 'whole') await sleep(10)
}
