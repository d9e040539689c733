import type { NamedReturnUrl } from '../../guards/return-url-guard.ts'
import { isProblem } from '../../match/problem.ts'
import { ConfigError } from '../../errors.ts'
import { checkOptions, type Expectation } from '../../options.ts'
import { isThenable } from '../../thenable.ts'
import { askOption } from './ask-option.ts'
import type { RequestFacts } from './facts.ts'
import type { ParameterPlace, ParameterReading } from './parameters.ts'
import type { Callback, GuardRequest } from '../handler.ts'

/**
 * A place for a return URL: a query parameter, or a member of a JSON or form body, nested ones by their path:
 * `options.redirect.url`, which in a form is the parameter `options[redirect][url]`. It must have one string, once.
 */
export type ReturnUrlPlace = (
  | { readonly query: string; readonly body?: undefined }
  | { readonly body: string; readonly query?: undefined }
) & {
  /**
   * The name of the URL in `req.portcullis.returnUrls`. Default: the name of the parameter, or the path. If several places have
   * the same name, a request may use only one of them: with `[{ query: 'next' }, { body: 'next' }]` either, never both.
   */
  readonly name?: string | undefined
  /** Whether the URL may be omitted. A name with several places is optional if all of them are. Default false. */
  readonly optional?: boolean | undefined
}

/** The `returnUrl` option in all its forms. */
export type ReturnUrlOption =
  Callback<[req: GuardRequest], unknown> | ReturnUrlPlace | readonly ReturnUrlPlace[]

export type ReturnUrlReader = (
  facts: RequestFacts,
  req: GuardRequest,
) => readonly NamedReturnUrl[] | Promise<readonly NamedReturnUrl[]>

/** The name of a URL that a function returns. */
const FOUND = 'returnUrl'

/** @throws ConfigError */
export function compileReturnUrlOption(
  option: ReturnUrlOption,
  path: string,
  limit: number,
): ReturnUrlReader {
  if (typeof option === 'function') {
    return (_facts, req) => {
      const value = askOption(option, req, 'returnUrl', limit)
      return isThenable(value) ? Promise.resolve(value).then(found) : found(value)
    }
  }
  const places = groupPlaces(option, path)
  const [only] = places
  if (only !== undefined && places.length === 1) return (facts) => [readPlaces(facts, only)]
  return (facts) => places.map((named) => readPlaces(facts, named))
}

function readPlaces(facts: RequestFacts, { name, optional, places }: NamedPlaces): NamedReturnUrl {
  let used: ParameterReading | undefined
  for (let index = 0; index < places.length; index += 1) {
    const reading = facts.parameter(places[index] as ParameterPlace)
    if (!isProblem(reading) && reading.value === undefined) continue
    if (used !== undefined) return { name, optional, value: undefined, problem: 'named in several places' }
    used = reading
  }
  if (used !== undefined && isProblem(used))
    return { name, optional, value: undefined, problem: used.problem }
  return { name, optional, value: used?.value }
}

interface NamedPlaces {
  readonly name: string
  optional: boolean
  readonly places: ParameterPlace[]
}

function groupPlaces(
  option: ReturnUrlPlace | readonly ReturnUrlPlace[],
  path: string,
): readonly NamedPlaces[] {
  const places: readonly unknown[] = Array.isArray(option) ? option : [option]
  if (places.length === 0) throw new ConfigError(path, 'at least one place', option)
  const groups = new Map<string, NamedPlaces>()
  const seen = new Set<string>()
  for (const [index, given] of places.entries()) {
    const where = Array.isArray(option) ? `${path}[${index}]` : path
    const { place, name, optional } = readPlace(given, where)
    const key = JSON.stringify(place)
    if (seen.has(key)) throw new ConfigError(where, 'a place that is not already declared', given)
    seen.add(key)
    const group = groups.get(name)
    if (group === undefined) groups.set(name, { name, optional, places: [place] })
    else {
      group.places.push(place)
      group.optional &&= optional
    }
  }
  return [...groups.values()]
}

function readPlace(
  given: unknown,
  where: string,
): { readonly place: ParameterPlace; readonly name: string; readonly optional: boolean } {
  checkOptions(where, given, { query: NAME, body: PATH, name: NAME, optional: YES_OR_NO })
  const { query, body, name, optional = false } = given as ReturnUrlPlace
  if (query !== undefined && body === undefined) return { place: { query }, name: name ?? query, optional }
  if (body !== undefined && query === undefined) return { place: { body }, name: name ?? body, optional }
  throw new ConfigError(where, 'an object with one of query, body', given)
}

function found(value: unknown): readonly NamedReturnUrl[] {
  return [{ name: FOUND, value, optional: false }]
}

const NAME: Expectation = {
  expected: 'the name of a parameter',
  accepts: (value) => typeof value === 'string' && value !== '',
}

const PATH: Expectation = {
  expected: 'a name, or names separated by dots',
  accepts: (value) => typeof value === 'string' && /^[^.[\]]+(?:\.[^.[\]]+)*$/.test(value),
}

const YES_OR_NO: Expectation = {
  expected: 'true or false',
  accepts: (value) => typeof value === 'boolean',
}
