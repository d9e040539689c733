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
