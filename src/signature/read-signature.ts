import type { BaseProblem, Outline } from './base.ts'
import type { Component } from './components.ts'
import type { Coverage } from './coverage.ts'

/** A signature whose parts are all of the right type. */
export interface ReadSignature {
  /** A string is a component without parameters. */
  readonly components: readonly (string | Component)[]
  /** The parts of the signature base that depend only on the components, or why it is impossible. */
  readonly outline: Outline | BaseProblem
  readonly coverage: Coverage
  /** Components and parameters, as signed. */
  readonly input: string
  readonly keyId: string
  readonly nonce: string
  /** Seconds since the epoch, like `expires`. */
  readonly created: number
  readonly expires: number | undefined
  readonly algorithm: string | undefined
  /** Base64. */
  readonly signature: string
  /** The length of the signature, in bytes. */
  readonly signatureLength: number
  /** The spelling of the header, if it can be cached. */
  readonly shape?: Shape | undefined
}

/** The start of a plainly written signature, before its parameters: the label and the list of components. */
export interface Shape {
  readonly text: string
  readonly label: string
  /** The text before the signature in its header. */
  readonly opening: string
  readonly components: readonly string[]
  readonly outline: Outline | BaseProblem
  readonly coverage: Coverage
}
