/** Refusals of the API of the console. Status and title follow from the code. */
export const CONSOLE_PROBLEMS = {
  REQUEST_INVALID: { status: 400, title: 'The request is not valid' },
  PURPOSE_MISSING: { status: 400, title: 'A reason is required' },
  SIGNED_OUT: { status: 401, title: 'You are not signed in' },
  SIGN_IN_REFUSED: { status: 401, title: 'Sign-in refused' },
  FORGERY_SUSPECTED: { status: 403, title: 'The request did not come from the console' },
  RIGHT_MISSING: { status: 403, title: 'You do not have the right to do this' },
  NOT_FOUND: { status: 404, title: 'Not found' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'This method is not allowed here' },
  ALREADY_THERE: { status: 409, title: 'It already exists' },
  NOT_SUPPORTED: { status: 409, title: 'This console cannot do that' },
  NOT_RESTORABLE: { status: 409, title: 'The key can no longer be restored' },
  REVISION_STALE: { status: 412, title: 'Someone else has changed it in the meantime' },
  CONTENT_TOO_LARGE: { status: 413, title: 'The content is too large' },
  UNSUPPORTED_CONTENT: { status: 415, title: 'The content must be JSON' },
  STORED_POLICY_INVALID: { status: 409, title: 'The stored policy of this app is not valid' },
  DOCUMENT_REFUSED: { status: 422, title: 'The input is refused' },
  EXPECTATION_FAILED: { status: 422, title: 'The policy fails one of its own expectations' },
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
