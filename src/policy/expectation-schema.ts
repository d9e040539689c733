import * as z from 'zod/mini'
import type { Expectation } from './expectation.ts'
import { GUARD_NAMES, type GuardName } from './sections.ts'
import { repeatedHeader, SOME_URL } from './written-request.ts'

/* Separate from the types, because the declarations of this package must not name other packages. */

const text = (most: number) => z.string().check(z.maxLength(most))

/** Node cannot send a method, a header or a URL that it does not accept. */
const METHOD = /^[A-Z][A-Z-]{0,31}$/
const HEADER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/
/** The header values that Node reads, with each byte as a character. */
const HEADER_VALUE = /^[\t -~\u0080-\u00ff]*$/
const STANDS_ONCE = 'must appear once: header names are case-insensitive'
const A_URL = 'must be an absolute http or https URL without user information and fragment'
const URL_OF_WEB = /^https?:\/\/[^\s\\#]+$/

/** The largest number of characters of each text of a request. */
interface Longest {
  readonly url: number
  readonly header: number
  readonly body: number
  readonly address: number
  readonly returnUrl: number
}

/** An expectation is part of a policy, which should stay small. */
const EXPECTED: Longest = { url: 2_048, header: 4_096, body: 16_384, address: 64, returnUrl: 4_096 }
/**
 * A request that is only tried may be as large as a real one: Node reads a head of 16 KiB, and parsers read a body of 100 KB.
 */
const TRIED: Longest = { url: 16_384, header: 16_384, body: 102_400, address: 16_384, returnUrl: 102_400 }

/** The schema of a request as JSON that is tried and not stored. */
// oxlint-disable-next-line typescript/explicit-module-boundary-types -- the type is that of the schema
export const triedRequest = () => writtenRequest(TRIED)

/** The schema of a request as JSON. */
// oxlint-disable-next-line typescript/explicit-module-boundary-types -- the type is that of the schema
export const writtenRequest = (longest: Longest = EXPECTED) =>
  z.strictObject({
    method: z.optional(z.string().check(z.regex(METHOD, 'must be the name of a method, like GET'))),
    url: z.prefault(
      text(longest.url).check(z.regex(URL_OF_WEB, { error: A_URL, abort: true }), z.refine(isUrl, A_URL)),
      SOME_URL,
    ),
    headers: z.optional(
      z
        .record(
          z.string().check(z.regex(HEADER, 'must be the name of a header')),
          text(longest.header).check(z.regex(HEADER_VALUE, 'must contain only tabs and printable Latin-1')),
        )
        .check(
          z.superRefine((headers, context) => {
            const name = repeatedHeader(headers)
            if (name !== undefined) context.addIssue({ code: 'custom', message: STANDS_ONCE, path: [name] })
          }),
        ),
    ),
    body: z.optional(text(longest.body)),
    address: z.optional(text(longest.address)),
    returnUrl: z.optional(text(longest.returnUrl)),
    returnUrlOptional: z.optional(z.boolean()),
    country: z.optional(z.union([text(64), z.array(text(64)).check(z.maxLength(20))])),
    here: z.optional(text(64).check(z.minLength(1))),
    signature: z.optional(
      z.strictObject({
        age: z.optional(z.int().check(z.gte(-86_400), z.lte(86_400))),
        digest: z.optional(z.boolean()),
        contentType: z.optional(z.boolean()),
      }),
    ),
    sinkFails: z.optional(z.boolean()),
  })

function isUrl(given: string): boolean {
  try {
    return new URL(given).username === '' && new URL(given).password === ''
  } catch {
    return false
  }
}

/** Each expectation is judged at every checked write. */
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
