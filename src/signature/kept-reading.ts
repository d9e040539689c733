import type { ReceivedSignature } from './fields.ts'

/** The parsed form of a signature that is not valid. */
export interface KeptReading {
  readonly received: ReceivedSignature
  /** The signature base of its components. */
  readonly base: string
}

// Keyed by the message, which lives no longer than its request.
const readings = new WeakMap<object, KeptReading>()

/** Keeps the verifier's parsed form of a message, so that the doctor need not parse it again. */
export function keepReading(message: object, received: ReceivedSignature, base: string): void {
  readings.set(message, { received, base })
}

/** The verifier's parsed form of a message, if it built a signature base and the signature was not valid. */
export function keptReading(message: object): KeptReading | undefined {
  return readings.get(message)
}
