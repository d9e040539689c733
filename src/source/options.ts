import { ConfigError } from '../errors.ts'
import { aFunction, checkOptions, objectWith, required, wholeNumber } from '../options.ts'
import type { PolicySourceOptions } from './contract.ts'

/** @throws ConfigError */
export function checkSourceOptions(options: PolicySourceOptions): void {
  checkOptions('createPolicySource', options, {
    store: required(objectWith('a policy store: an object with a method `read`', 'read')),
    maxStale: wholeNumber('milliseconds', 0),
    revalidateAfter: wholeNumber('milliseconds', 0),
    readTimeout: wholeNumber('milliseconds', 1, 60_000),
    maxApps: wholeNumber('apps', 1),
    maxBytes: wholeNumber('bytes', 1),
    unknownFor: wholeNumber('milliseconds', 0, 3_600_000),
    snapshot: objectWith('a snapshot made by diskSnapshot()', 'keep', 'forget', 'find'),
    onError: aFunction,
    now: aFunction,
  })
  const { maxStale = 60_000, revalidateAfter } = options
  if (revalidateAfter !== undefined && revalidateAfter > maxStale) {
    throw new ConfigError(
      'createPolicySource.revalidateAfter',
      `at most \`maxStale\` (${maxStale})`,
      revalidateAfter,
    )
  }
}
