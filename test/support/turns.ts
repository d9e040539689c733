import { setTimeout as sleep } from 'node:timers/promises'

const TURN = 20

/**
 * Waits for a promise that may never settle, but at most for this many milliseconds of turns of the event loop.
 *
 * In a process that got no CPU for a while, a single timer would fire before data that has already arrived is read.
 * Between two turns, it is read.
 */
export async function forTurns(promise: Promise<unknown>, milliseconds: number): Promise<void> {
  let over = false
  const ended = promise.then(() => void (over = true))
  for (let passed = 0; passed < milliseconds && !over; passed += TURN)
    await Promise.race([ended, sleep(TURN)])
}

/**
 * The promise, which must settle within this many milliseconds of turns of the event loop. While this process waits for
 * the CPU, this time does not pass.
 */
export async function within<T>(milliseconds: number, given: Promise<T> | T): Promise<T> {
  const promise = Promise.resolve(given)
  let settled = false
  const end = (): void => void (settled = true)
  await forTurns(promise.then(end, end), milliseconds)
  if (!settled) throw new Error(`not settled within ${milliseconds} ms`)
  return promise
}
