import type { ReceivedSignature } from './fields.ts'

/** What was read of a signature that does not hold. */
export interface KeptReading {
  readonly received: ReceivedSignature
  /** The signature base over its components. */
  readonly base: string
}

// By the message, which lives no longer than its request.
const readings = new WeakMap<object, KeptReading>()

/** Keeps what the verifier has read of a message, so that the doctor need not read it again. */
export function keepReading(message: object, received: ReceivedSignature, base: string): void {
  readings.set(message, { received, base })
}

/** What the verifier has read of this message, if it made a signature base and the signature did not hold. */
export function keptReading(message: object): KeptReading | undefined {
  return readings.get(message)
}
