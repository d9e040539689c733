import { setTimeout as sleep } from 'node:timers/promises'

const TURN = 20

/**
 * Waits for what may never come: for the promise, or else for so many milliseconds of turns of the event loop.
 *
 * In a process that got no CPU for a while, one timer would be over before anything that has arrived was read. Between two
 * turns it is read.
 */
export async function forTurns(promise: Promise<unknown>, milliseconds: number): Promise<void> {
  let over = false
  const ended = promise.then(() => void (over = true))
  for (let passed = 0; passed < milliseconds && !over; passed += TURN)
    await Promise.race([ended, sleep(TURN)])
}

/**
 * The promise, which must settle within so many milliseconds of turns of the event loop. Where this process has to wait for
 * the processor, they wait with it.
 */
export async function within<T>(milliseconds: number, given: Promise<T> | T): Promise<T> {
  const promise = Promise.resolve(given)
  let settled = false
  const end = (): void => void (settled = true)
  await forTurns(promise.then(end, end), milliseconds)
  if (!settled) throw new Error(`not settled within ${milliseconds} ms`)
  return promise
}
