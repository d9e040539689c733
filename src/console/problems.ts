/** Refusals of the console's API. Status and title follow from the code. */
export const CONSOLE_PROBLEMS = {
  REQUEST_INVALID: { status: 400, title: 'The request is not valid' },
  PURPOSE_MISSING: { status: 400, title: 'A reason is required' },
  SIGNED_OUT: { status: 401, title: 'You are not signed in' },
  SIGN_IN_REFUSED: { status: 401, title: 'The sign-in is refused' },
  FORGERY_SUSPECTED: { status: 403, title: 'The request does not come from the console' },
  RIGHT_MISSING: { status: 403, title: 'You do not have the right to do this' },
  NOT_FOUND: { status: 404, title: 'There is nothing here' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'The method is not allowed here' },
  ALREADY_THERE: { status: 409, title: 'It is there already' },
  NOT_SUPPORTED: { status: 409, title: 'The store cannot do this' },
  NOT_RESTORABLE: { status: 409, title: 'The key can no longer be restored' },
  REVISION_STALE: { status: 412, title: 'Somebody else has changed it meanwhile' },
  CONTENT_TOO_LARGE: { status: 413, title: 'The content is too large' },
  UNSUPPORTED_CONTENT: { status: 415, title: 'The content must be JSON' },
  DOCUMENT_REFUSED: { status: 422, title: 'What was entered is refused' },
  EXPECTATION_FAILED: { status: 422, title: 'The policy would not do what it says itself that it must' },
  REVISION_REQUIRED: { status: 428, title: 'If-Match is required' },
  INTERNAL: { status: 500, title: 'Something went wrong' },
  UNAVAILABLE: { status: 503, title: 'The store or the audit could not be reached' },
} as const satisfies Record<string, { readonly status: number; readonly title: string }>

export type ConsoleProblemCode = keyof typeof CONSOLE_PROBLEMS

/** Refuses a request of the API. `members` are added to the problem document (RFC 9457). */
export class ConsoleProblem extends Error {
  readonly problem: ConsoleProblemCode
  readonly members: Readonly<Record<string, unknown>>

  constructor(problem: ConsoleProblemCode, members: Readonly<Record<string, unknown>> = {}) {
    super(CONSOLE_PROBLEMS[problem].title)
    this.problem = problem
    this.members = members
  }
}
