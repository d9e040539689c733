import { ConfigError } from '../errors.ts'
import { aFunction, checkOptions, objectWith, required, wholeNumber } from '../options.ts'
import type { PolicySourceOptions } from './contract.ts'

/** A frozen copy of the options without a prototype. @throws ConfigError */
export function checkSourceOptions(options: unknown): Readonly<PolicySourceOptions> {
  const checked = checkOptions<PolicySourceOptions>(
    'createPolicySource',
    options,
    {
      store: required(
        objectWith(
          'a policy store such as memoryStore() or redisStore(): an object with a method `read`',
          'read',
        ),
      ),
      maxStale: wholeNumber('milliseconds', 0),
      revalidateAfter: wholeNumber('milliseconds', 0),
      readTimeout: wholeNumber('milliseconds', 1, 60_000),
      maxApps: wholeNumber('apps', 1),
      maxBytes: wholeNumber('bytes', 1),
      unknownFor: wholeNumber('milliseconds', 0, 3_600_000),
      snapshot: objectWith('a snapshot made by diskSnapshot()', 'keep', 'forget', 'find'),
      onError: aFunction,
      now: aFunction,
    },
    (given) =>
      isStore(given) ? 'this is a store: write `createPolicySource({ store })` around it' : undefined,
  )
  const { maxStale = 60_000, revalidateAfter } = checked
  if (revalidateAfter !== undefined && revalidateAfter > maxStale) {
    throw new ConfigError(
      'createPolicySource.revalidateAfter',
      `at most \`maxStale\` (${maxStale})`,
      revalidateAfter,
    )
  }
  return checked
}

/** Whether the caller passed the store itself in place of the options. */
function isStore(given: unknown): boolean {
  return (
    typeof given === 'object' &&
    given !== null &&
    !Object.hasOwn(given, 'store') &&
    typeof (given as Record<string, unknown>)['read'] === 'function'
  )
}
