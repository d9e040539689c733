import * as z from 'zod/mini'
import { GUARD_NAMES, type GuardName } from './sections.ts'
import { writtenRequest, type WrittenRequest } from './written-request.ts'

/** What a policy must do with a request, as its owner has written it down. */
export interface Expectation {
  /** Why, in the words of the owner: `the office may call`. 1-200 characters. */
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

/** Each is judged at every write that is checked. */
const MOST = 100

const ONE_OF_BOTH = 'must have either `effect` or `code`'

// oxlint-disable-next-line typescript/explicit-module-boundary-types -- zod knows the type
export const expectations = () =>
  z
    .array(
      z
        .strictObject({
          name: z.string().check(z.minLength(1), z.maxLength(200)),
          request: writtenRequest(),
          guards: z.optional(
            z
              .array(z.enum(GUARD_NAMES as [GuardName, ...GuardName[]]))
              .check(z.minLength(1), z.maxLength(GUARD_NAMES.length)),
          ),
          effect: z.optional(z.enum(['allow', 'deny'])),
          code: z.optional(
            z.string().check(z.regex(/^[A-Z_]{1,40}$/, 'must be a code like ADDRESS_NOT_ALLOWED')),
          ),
        })
        .check(
          z.superRefine((expectation, context) => {
            const { effect, code } = Object.assign(Object.create(null), expectation) as Partial<Expectation>
            if ((effect === undefined) === (code === undefined))
              context.addIssue({ code: 'custom', message: ONE_OF_BOTH, path: [] })
          }),
        ),
    )
    .check(z.maxLength(MOST))
