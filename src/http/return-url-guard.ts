import {
  decideReturnUrlGuard,
  type NamedReturnUrl,
  type ReturnUrlFacts,
  type ReturnUrlOutcome,
} from '../guards/return-url-guard.ts'
import { parseOrigin } from '../match/origin.ts'
import { checkOptions, required, type Expectation } from '../options.ts'
import type { DescribedQuestion, RequestDescription } from './described-request.ts'
import type { RequestHandler } from './handler.ts'
import { isThenable } from '../thenable.ts'
import { OPTION_TIMEOUT } from './request/ask-option.ts'
import { noteRefusedUrls } from './nearest-entry.ts'
import { originHint } from './request/authority.ts'
import { compileReturnUrlOption, type ReturnUrlOption } from './request/return-url-places.ts'
import { SHARED_EXPECTATIONS, type Expectations, type SharedOptions } from './shared-options.ts'
import { mount } from './shell.ts'
import type { Mount } from './step.ts'

export interface ReturnUrlGuardOptions extends SharedOptions {
  /**
   * Where the return URL is: `{ query: 'return_url' }`, `{ body: 'options.redirect.url' }`, or a list of such places, each of
   * which is judged. They are read from the received bytes, not from the results of parsers; a place in the body needs
   * `bodyParsers()` before the guard. Or a function that returns one URL: `(req) => req.body?.return_url`.
   */
  readonly returnUrl: ReturnUrlOption
  /**
   * Also admits paths on this server (`/settings`). They are read as URLs at this origin, and judged by the entries of the app
   * like others. Default: only absolute URLs.
   */
  readonly relativeTo?: string | undefined
  /**
   * Names of the parameters in which your response goes to the app (`code`, `state`). A URL that already has one of them, in any
   * spelling, is refused, because the app would read it in place of yours. Default: no names.
   */
  readonly reserved?: readonly string[] | undefined
}

/**
 * Admits requests whose return URLs match an entry of the app: a prefix on a segment boundary, or an exact URL. Refuses others
 * with `RETURN_URL_REQUIRED` or `RETURN_URL_NOT_ALLOWED` (400), also text that a parser would have to repair, and a parameter
 * that appears twice in any disguise. The handler finds the canonical URL in `req.portcullis.returnUrl`, and several in
 * `req.portcullis.returnUrls`; `safeRedirect` redirects only there.
 *
 * In `report` mode and if the protection is off, these are the canonical forms of all well-formed URLs in the request (without
 * reserved parameters): switching the mode then does not change what handlers do.
 *
 * @throws ConfigError
 */
export function returnUrlGuard(options: ReturnUrlGuardOptions): RequestHandler {
  const settings = checkOptions<ReturnUrlGuardOptions>('returnUrlGuard', options, {
    ...SHARED_EXPECTATIONS,
    ...RETURN_URL_GUARD_EXPECTATIONS,
  })
  return mount(returnUrlGuardMount(settings, 'returnUrlGuard'), settings)
}

/** @param name the name of the options in an error */
export function returnUrlGuardMount(
  options: ReturnUrlGuardOptions,
  name: string,
): Mount<ReturnUrlFacts, ReturnUrlOutcome> {
  const { relativeTo, reserved = [], optionTimeout = OPTION_TIMEOUT } = options
  const rules = { relativeTo, reserved: [...reserved] }
  const read = compileReturnUrlOption(options.returnUrl, `${name}.returnUrl`, optionTimeout)
  const withRules = (named: readonly NamedReturnUrl[]): ReturnUrlFacts => ({ named, ...rules })
  return {
    name: 'returnUrlGuard',
    guard: noting,
    looksWhenOff: true,
    blindToPreflight: true,
    facts: ({ facts, req }) => {
      const named = read(facts, req)
      return isThenable(named) ? named.then(withRules) : withRules(named)
    },
    note: ({ outcome }, context) => {
      if (outcome !== undefined) context.approve(outcome)
    },
  }
}

/** Keeps the refused URLs for the refusal line, because only the guard has read them. */
const noting: typeof decideReturnUrlGuard = (policy, facts) => {
  const judgement = decideReturnUrlGuard(policy, facts)
  if (judgement.decision.effect === 'deny') noteRefusedUrls(judgement.decision, facts)
  return judgement
}

const PLACES: Expectation = {
  expected: 'a function, a place like `{ query: "return_url" }`, or a list of places',
  accepts: (value) => typeof value === 'function' || (typeof value === 'object' && value !== null),
  hint: (value) =>
    typeof value === 'string'
      ? `; write \`{ query: ${JSON.stringify(value)} }\`, or \`body\` if it is in the body`
      : undefined,
}

const ORIGIN: Expectation = {
  expected: 'an origin of http or https like `https://gateway.example`',
  accepts: (value) => typeof value === 'string' && /^https?:/.test(value) && parseOrigin(value) === value,
  hint: (value) => (typeof value === 'string' ? originHint(value) : undefined),
}

const NAMES: Expectation = {
  expected: 'a list of names of parameters',
  accepts: (value) =>
    Array.isArray(value) && value.every((name) => typeof name === 'string' && name.trim() !== ''),
}

export const RETURN_URL_GUARD_EXPECTATIONS = {
  returnUrl: required(PLACES),
  relativeTo: ORIGIN,
  reserved: NAMES,
} satisfies Expectations<ReturnUrlGuardOptions>

/** The return URL of a described request. */
export function namedReturnUrl({ returnUrl, returnUrlOptional = false }: RequestDescription): NamedReturnUrl {
  return { name: 'returnUrl', value: returnUrl, problem: undefined, optional: returnUrlOptional }
}

export const describedReturnUrlGuard: DescribedQuestion = (description) => {
  if (!('returnUrl' in description)) return undefined
  const { relativeTo, reserved } = description
  const facts = { named: [namedReturnUrl(description)], relativeTo, reserved }
  return { name: 'returnUrlGuard', guard: decideReturnUrlGuard, facts: () => facts }
}
