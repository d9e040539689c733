import { didYouMean } from './did-you-mean.ts'
import { ConfigError, SECRET, show, wrongOption, type ConfigIssue } from './errors.ts'
import { isThenable } from './thenable.ts'

/** What one option must be. */
export interface Expectation {
  /** A phrase that completes "must be …" and "give …". */
  readonly expected: string
  accepts(value: unknown): boolean
  /** Whether the option is required. Default false. */
  readonly required?: boolean
  /** Whether the value must not appear in the error. Default false. */
  readonly secret?: boolean
  /**
   * Guesses what a refused value was meant to be, as the end of the message: ``; did you mean `x`?``. Never called for a secret.
   * `undefined` adds nothing.
   */
  hint?(value: unknown): string | undefined
}

/** An expectation for every option of `T`. The compiler reports missing ones. */
export type Expectations<T extends object> = { readonly [Name in keyof Required<T>]: Expectation }

/** Guesses what was meant if something else is passed in place of the options. `undefined` adds nothing. */
type WholeHint = (given: unknown) => string | undefined

/**
 * Checks the options of a factory and returns a frozen copy of their own members, without a prototype. Read options only from the
 * copy: inherited members then have no effect. An option with the value `undefined` counts as omitted. The given object is not
 * changed.
 *
 * @param together checks rules that involve several options, and returns their issues
 * @throws ConfigError with all unknown, missing and wrong options
 */
export function checkOptions<T extends object>(
  factory: string,
  given: unknown,
  expectations: Expectations<T>,
  whole?: WholeHint,
  together?: (options: Record<string, unknown>) => readonly ConfigIssue[],
): Readonly<T> {
  const [issues, options] = readOptions(factory, given, expectations, whole)
  // If the argument is no options object at all, there are no options to compare.
  if (together !== undefined && issues[0]?.option !== factory) issues.push(...together(options))
  const [first, ...more] = issues
  if (first !== undefined) throw new ConfigError([first, ...more])
  return Object.freeze(options) as Readonly<T>
}

/** Returns the issues and the copy that {@link checkOptions} would return, for callers that add issues of their own. */
export function readOptions(
  factory: string,
  given: unknown,
  expectations: Readonly<Record<string, Expectation>>,
  whole?: WholeHint,
): [issues: ConfigIssue[], options: Record<string, unknown>] {
  const options = Object.create(null) as Record<string, unknown>
  const meantAll = whole?.(given) ?? usualMistake(factory, given, expectations)
  if (typeof given !== 'object' || given === null || Array.isArray(given) || meantAll !== undefined) {
    return [[notOptions(factory, given, expectations, meantAll)], options]
  }
  Object.assign(options, given)
  const issues = Object.keys(options)
    .filter((name) => !Object.hasOwn(expectations, name))
    .map((name) => unknownOption(factory, name, Object.keys(expectations)))
  for (const [name, expectation] of Object.entries(expectations)) {
    const issue = issueOf(`${factory}.${name}`, options[name], expectation)
    if (issue !== undefined) issues.push(issue)
  }
  return [issues, options]
}

/** Recognises a factory that was mounted or given without being called, and a policy source in place of the options. */
function usualMistake(
  factory: string,
  given: unknown,
  expectations: Readonly<Record<string, Expectation>>,
): string | undefined {
  if (typeof given === 'function') {
    const [name, ...others] = requiredAmong(expectations)
    // If several options are required, the message cannot say which one was meant.
    if (name === undefined || others.length > 0) return undefined
    const isOption = expectations[name]?.accepts(given) === true
    return `${isOption ? '' : 'call it, and '}write \`${factory}({ ${name}: … })\` around it`
  }
  if (typeof given !== 'object' || given === null) return undefined
  const has = (name: string): boolean => name in given && !Object.hasOwn(expectations, name)
  if (has('headers') && has('method') && has('on'))
    return `this is a request: mount what \`${factory}\` returns, \`${factory}({ … })\``
  if (Object.hasOwn(expectations, 'policies') && has('peek') && has('load'))
    return `this is a policy source: write \`${factory}({ policies, … })\``
  return undefined
}

/** The issue of one value; `undefined` if the value is accepted. */
export function issueOf(option: string, value: unknown, expectation: Expectation): ConfigIssue | undefined {
  // Only own members count, so a polluted `Object.prototype` cannot add a hint.
  const { expected, accepts, required, secret, hint } = ownMembers(expectation)
  if (value === undefined ? required !== true : accepts(value)) return undefined
  if (secret === true && value !== undefined) return wrongOption(option, expected, SECRET)
  return wrongOption(option, expected, value, hint?.(value))
}

/** The names of the required options. */
function requiredAmong(expectations: Readonly<Record<string, Expectation>>): string[] {
  return Object.keys(expectations).filter(
    (name) => ownMembers(expectations[name] as Expectation).required === true,
  )
}

function ownMembers(expectation: Expectation): Expectation {
  return Object.assign(Object.create(null), expectation) as Expectation
}

/** Members of a policy that are often given to a guard. */
const IN_POLICIES: ReadonlySet<string> = new Set([
  'mode',
  'ranges',
  'deny',
  'lists',
  'denyLists',
  'domains',
  'urls',
  'onMisdirected',
  'fallback',
  'onSinkFailure',
])

/** The issue of an option that the factory does not have. Its value is not shown. */
export function unknownOption(factory: string, name: string, known: readonly string[]): ConfigIssue {
  const meant =
    name === 'trustProxy' && known.includes('clientAddress') ? 'clientAddress' : didYouMean(name, known)
  const expected = known.length === 0 ? 'no options' : `one of ${known.join(', ')}`
  const advice =
    meant !== undefined
      ? `did you mean \`${meant}\`?`
      : known.length === 0
        ? 'it takes no options'
        : known.includes('policies') && IN_POLICIES.has(name)
          ? 'it belongs in the policy of the app'
          : `the options are ${known.join(', ')}`
  return {
    code: 'OPTION_UNKNOWN',
    option: `${factory}.${name}`,
    expected,
    message: `${factory}: unknown option \`${name}\`: ${advice}`,
  }
}

function notOptions(
  factory: string,
  given: unknown,
  expectations: Readonly<Record<string, Expectation>>,
  meant: string | undefined,
): ConfigIssue {
  const required = requiredAmong(expectations).map((name) => `\`${name}\``)
  const expected =
    required.length === 0 ? 'an object with options' : `an object with at least ${required.join(', ')}`
  // A secret passed in place of the options must not appear either.
  const hidden =
    typeof given === 'string' &&
    Object.values(expectations).some((expectation) => ownMembers(expectation).secret === true)
  const got = hidden ? 'a value that is not shown here, because it may be secret' : show(given)
  const message = `\`${factory}\` takes ${expected}, got ${got}${meant === undefined ? '' : `; ${meant}`}`
  return {
    code: given === undefined ? 'OPTION_MISSING' : 'OPTION_INVALID',
    option: factory,
    expected,
    message,
  }
}

export const aFunction: Expectation = {
  expected: 'a function',
  accepts: (value) => typeof value === 'function',
}

/** The `appId` option: a function that returns the id of the calling app. */
export const anAppIdReader: Expectation = {
  ...aFunction,
  hint: (value) => {
    if (typeof value === 'string')
      return `: if all requests come from one app, write \`() => ${JSON.stringify(value)}\`; if a header names the app, write \`appIdFrom({ header: 'x-app-id' })\``
    const isPlace = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isPlace ? ': write `appIdFrom({ … })` around it' : undefined
  },
}

/** One of several strings. The hint names the most similar one. */
export function oneOf(what: string, names: readonly string[]): Expectation {
  return {
    expected: `${what}: ${names.map((name) => `\`${name}\``).join(', ')}`,
    accepts: (value) => typeof value === 'string' && names.includes(value),
    hint: (value) => {
      const meant = didYouMean(value, names)
      return meant === undefined ? undefined : `; did you mean \`${meant}\`?`
    },
  }
}

/** A whole number of at least `least` and at most `most`, in the given unit. */
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
    hint: (value) => {
      const number = typeof value === 'string' && /^[0-9]{1,15}$/.test(value) ? Number(value) : NaN
      return number >= least && number <= most ? `; write \`${number}\`` : undefined
    },
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
    hint: (value) => {
      if (isThenable(value)) return '; this is a promise: `await` it first'
      // A function may be a factory or the method itself.
      const isMethod = typeof value === 'function' && methods.length === 1
      return isMethod ? `; call it, or write \`{ ${methods[0]}: … }\` around it` : undefined
    },
  }
}

/** The hint if a single string was given in place of a list. */
export function listHint(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > 200) return undefined
  const entries = value.split(/[\s,;]+/).filter((entry) => entry !== '')
  return entries.length === 0 ? undefined : `; write \`[${entries.map((entry) => `'${entry}'`).join(', ')}]\``
}

/** The same expectation for a required option. */
export function required(expectation: Expectation): Expectation {
  return { ...expectation, required: true }
}
