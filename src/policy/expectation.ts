import type { GuardName } from './sections.ts'
import type { WrittenRequest } from './written-request.ts'

/** A decision that the owner of a policy expects for a request. */
export interface Expectation {
  /** A description in the owner's words: `the office may call`. 1-200 characters. */
  readonly name: string
  readonly request: WrittenRequest
  /** The guards that judge it. Default: all, as `protect` mounts them. */
  readonly guards?: readonly GuardName[] | undefined
  /** Whether the request passes. An expectation has either `effect` or `code`. */
  readonly effect?: 'allow' | 'deny' | undefined
  /** The code with which a guard refuses the request: `ADDRESS_NOT_ALLOWED`. */
  readonly code?: string | undefined
}

/** An expectation as its owner writes it: the URL of the request has a default. */
export interface ExpectationInput extends Omit<Expectation, 'request'> {
  readonly request: Omit<WrittenRequest, 'url'> & { readonly url?: string | undefined }
}
