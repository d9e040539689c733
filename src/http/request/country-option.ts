import { guessCountry } from '../../jurisdiction/country-guess.ts'
import type { Expectation } from '../../options.ts'

/** The `country` option: the source of the citizenship of the person whom a request concerns. */
export const A_COUNTRY: Expectation = {
  expected: 'a function, or a place in the body like `{ body: "country" }`',
  accepts: (value) =>
    typeof value === 'function' ||
    (typeof value === 'object' && value !== null && isPathOfBody((value as { body?: unknown }).body)),
  hint: (value) => {
    const code = guessCountry(value)
    return code === undefined ? undefined : `; if it is the same for everybody, write \`() => '${code}'\``
  },
}

function isPathOfBody(value: unknown): boolean {
  return typeof value === 'string' && /^[^.[\]]+(?:\.[^.[\]]+)*$/.test(value)
}
