import type * as contents from './call-contents.ts'
import type { ApiCall, CommandRow } from './command.ts'
import type * as managed from './managing.ts'

/** Loads a command that uses a store. */
export function managing(name: keyof typeof managed): CommandRow['load'] {
  return async () => (await import('./managing.ts'))[name]
}

/** Loads the function that makes the body of a request to the admin API. */
export function contentOf(name: keyof typeof contents): NonNullable<ApiCall['content']> {
  return async () => (await import('./call-contents.ts'))[name]
}
