import type { GuardName } from './sections.ts'
import type { WrittenRequest } from './written-request.ts'

/** How a policy must decide on a request, as written by its owner. */
export interface Expectation {
  /** A description in the owner's words: `the office may call`. 1-200 characters. */
  readonly name: string
  readonly request: WrittenRequest
  /** The guards that are asked. Left out: all of them, as `protect` mounts them. */
  readonly guards?: readonly GuardName[] | undefined
  /** Whether the request passes. Either this or `code` is written. */
  readonly effect?: 'allow' | 'deny' | undefined
  /** The code with which a guard refuses it: `ADDRESS_NOT_ALLOWED`. */
  readonly code?: string | undefined
}

/** An expectation as it is written: the URL of its request has a default. */
export interface ExpectationInput extends Omit<Expectation, 'request'> {
  readonly request: Omit<WrittenRequest, 'url'> & { readonly url?: string | undefined }
}
