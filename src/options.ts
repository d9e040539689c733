import { ConfigError, SECRET } from './errors.ts'

/** What one option must be. */
export interface Expectation {
  /** Completes the sentence "must be …". */
  readonly expected: string
  accepts(value: unknown): boolean
  /** Whether leaving it out is refused. Default false. */
  readonly required?: boolean
  /** Whether the value must not appear in the error. Default false. */
  readonly secret?: boolean
}

/**
 * Checks the options of a factory, and throws a `ConfigError` for the first that is unknown, missing or wrong.
 * An option that is `undefined` counts as left out. Nothing is written to the given object.
 *
 * @returns a frozen copy of its own members, without a prototype: what `Object.prototype` has is not an option
 */
export function checkOptions<Options extends object>(
  factory: string,
  given: unknown,
  expectations: Readonly<Record<string, Expectation>>,
): Readonly<Options> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ConfigError(`${factory} options`, 'an object', given)
  }
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(expectations, name)) {
      throw new ConfigError(
        `${factory}.${name}`,
        `left out: the options are ${list(expectations)}`,
        valueOf(given, name),
      )
    }
  }
  for (const [name, { expected, accepts, required, secret }] of Object.entries(expectations)) {
    const value = valueOf(given, name)
    if (value === undefined ? required === true : !accepts(value)) {
      throw new ConfigError(
        `${factory}.${name}`,
        expected,
        secret === true && value !== undefined ? SECRET : value,
      )
    }
  }
  return Object.freeze(Object.assign(Object.create(null) as Options, given))
}

function valueOf(object: object, name: string): unknown {
  return Object.hasOwn(object, name) ? (object as Record<string, unknown>)[name] : undefined
}

function list(expectations: object): string {
  return Object.keys(expectations).join(', ')
}

export const aFunction: Expectation = {
  expected: 'a function',
  accepts: (value) => typeof value === 'function',
}

/** A whole number of at least `least`, in the given unit. */
export function wholeNumber(
  unit: string,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): Expectation {
  const bound = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  return {
    expected: `a whole number of ${unit} ${bound}`,
    accepts: (value) =>
      Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most,
  }
}

/** An object that has these methods. */
export function objectWith(expected: string, ...methods: readonly string[]): Expectation {
  return {
    expected,
    accepts: (value) =>
      typeof value === 'object' &&
      value !== null &&
      methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function'),
  }
}

/** The same expectation, but leaving the option out is refused. */
export function required(expectation: Expectation): Expectation {
  return { ...expectation, required: true }
}
