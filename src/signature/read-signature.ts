import type { BaseProblem, Outline } from './base.ts'
import type { Component } from './components.ts'
import type { Coverage } from './coverage.ts'

/** A signature of which every part is of the right kind. */
export interface ReadSignature {
  /** A string stands for a component without parameters. */
  readonly components: readonly (string | Component)[]
  /** What of the signature base depends on them alone, or why it cannot be made. */
  readonly outline: Outline | BaseProblem
  readonly coverage: Coverage
  /** Components and parameters as they are signed. */
  readonly input: string
  readonly keyId: string
  readonly nonce: string
  /** Seconds since the epoch, as `expires`. */
  readonly created: number
  readonly expires: number | undefined
  readonly algorithm: string | undefined
  /** Base64. */
  readonly signature: string
  /** How long it is, in bytes. */
  readonly signatureLength: number
  /** How it was written, where that is worth remembering. */
  readonly shape?: Shape | undefined
}

/** What stands ahead of the parameters of a signature that is written plainly: the label and the list of components. */
export interface Shape {
  readonly text: string
  readonly label: string
  /** What stands ahead of the signature in its header. */
  readonly opening: string
  readonly components: readonly string[]
  readonly outline: Outline | BaseProblem
  readonly coverage: Coverage
}
