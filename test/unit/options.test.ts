import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { ConfigError, createPolicySource, ipWhitelist, memoryStore, protect } from 'portcullis'
import {
  aFunction,
  anAppIdReader,
  checkOptions,
  objectWith,
  oneOf,
  required,
  wholeNumber,
} from '../../src/options.ts'

interface Options {
  readonly policies: object
  readonly nonces: object
  readonly maxAge?: number | undefined
  readonly here?: string | undefined
  readonly appId?: (() => string) | undefined
  readonly key?: string | undefined
}

const EXPECTATIONS = {
  policies: required(objectWith('a policy source', 'get')),
  nonces: required(objectWith('a nonce store: an object with a method `claim`', 'claim')),
  maxAge: wholeNumber('seconds', 1, 10),
  here: oneOf('a location', ['london', 'frankfurt']),
  appId: anAppIdReader,
  key: { expected: 'a key', accepts: () => false, secret: true },
}
const good = { policies: { get: () => 1 }, nonces: { claim: () => true } }

const check = (given: unknown): Readonly<Options> => checkOptions<Options>('guard', given, EXPECTATIONS)
function errorOf(build: () => unknown): ConfigError {
  try {
    build()
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('the options were taken')
}

describe('checkOptions', () => {
  it('returns a frozen copy of the own members, without a prototype', () => {
    const given = Object.assign(Object.create({ maxAge: 5 }) as object, good)
    const options = check(given)
    expect(Object.getPrototypeOf(options)).toBeNull()
    expect(Object.isFrozen(options)).toBe(true)
    expect(options.maxAge).toBeUndefined()
    expect(options.policies).toBe(good.policies)
  })

  it.each(['maxAge', 'here', 'appId', 'key', 'required', 'secret', 'hint', 'policies'])(
    'reads nothing from a polluted Object.prototype: %s',
    (name) => {
      const prototype = Object.prototype as Record<string, unknown>
      prototype[name] = 'polluted'
      try {
        expect(check(good)).toEqual(good)
        expect(() => check({ nonces: good.nonces })).toThrow(/`guard.policies` is missing/)
      } finally {
        delete prototype[name]
      }
    },
  )

  it.each<[what: string, given: unknown, message: string]>([
    [
      'an unknown option with the one that was probably meant',
      { ...good, maxage: 5 },
      'guard: unknown option `maxage`: did you mean `maxAge`?',
    ],
    [
      'an unknown option with all that there are',
      { ...good, ttl: 5 },
      'guard: unknown option `ttl`: the options are policies, nonces, maxAge, here, appId, key',
    ],
    [
      'an option that is missing',
      { policies: good.policies },
      '`guard.nonces` is missing: give a nonce store: an object with a method `claim`',
    ],
    [
      'a value that is wrong',
      { ...good, maxAge: 11 },
      '`guard.maxAge` must be a whole number of seconds from 1 to 10, got 11',
    ],
    [
      'one of some names, with the one that was probably meant',
      { ...good, here: 'frankfrut' },
      '`guard.here` must be a location: `london`, `frankfurt`, got "frankfrut"; did you mean `frankfurt`?',
    ],
    [
      'a text in place of a reader of the app id',
      { ...good, appId: 'shop' },
      '`guard.appId` must be a function, got "shop": if all requests come from one app, write `() => "shop"`; if a header names the app, write `appIdFrom({ header: \'x-app-id\' })`',
    ],
    [
      'a place in place of a reader of the app id',
      { ...good, appId: { header: 'x' } },
      '`guard.appId` must be a function, got an object with header: write `appIdFrom({ … })` around it',
    ],
    [
      'a secret, which is not shown',
      { ...good, key: 'abc' },
      '`guard.key` must be a key, got a value that is not shown here, because it may be secret',
    ],
    [
      'a string in place of options, which may be the secret of one of them',
      'x',
      '`guard` takes an object with at least `policies`, `nonces`, got a value that is not shown here, because it may be secret',
    ],
    [
      'a factory in place of its result',
      { ...good, policies: createPolicySource },
      '`guard.policies` must be a policy source, got a function; call it, or write `{ get: … }` around it',
    ],
    [
      'a factory in place of options',
      createPolicySource,
      '`guard` takes an object with at least `policies`, `nonces`, got a function',
    ],
    [
      'something else in place of options',
      [1],
      '`guard` takes an object with at least `policies`, `nonces`, got an array of 1',
    ],
  ])('refuses %s', (_what, given, message) => {
    expect(errorOf(() => check(given)).message).toBe(message)
  })

  it('reports all problems of a call at once, each with its code', () => {
    const error = errorOf(() => check({ polices: {}, maxAge: 0 }))
    expect(error.issues.map(({ code, option }) => [code, option])).toEqual([
      ['OPTION_UNKNOWN', 'guard.polices'],
      ['OPTION_MISSING', 'guard.policies'],
      ['OPTION_MISSING', 'guard.nonces'],
      ['OPTION_INVALID', 'guard.maxAge'],
    ])
    expect(error.message).toBe(error.issues.map(({ message }) => message).join('; '))
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', help: 'docs/codes.md#config_invalid' })
    expect(error.option).toBe('guard.polices')
  })

  it('says how to give a function that was given in place of options, if one of them is a function', () => {
    const { message } = errorOf(() => checkOptions('x', () => 1, { f: required(aFunction) }))
    expect(message).toBe(
      '`x` takes an object with at least `f`, got a function; write `x({ f: … })` around it',
    )
    expect(errorOf(() => checkOptions('x', () => 1, { f: aFunction })).message).toBe(
      '`x` takes an object with options, got a function',
    )
  })

  it('treats an undefined option as missing', () => {
    expect(check({ ...good, maxAge: undefined, appId: undefined })).toEqual(good)
    expect(checkOptions<{ f?: () => void }>('x', { f: undefined }, { f: aFunction })).toEqual({})
  })
})

describe('a suggestion', () => {
  it.each<[what: string, build: () => unknown, message: RegExp]>([
    [
      'a policy in place of a document',
      () => memoryStore([{ appId: 'a' } as never]),
      /`memoryStore documents\[0\]` must be an object `\{ policy, keys\? \}`, got an object with appId: this looks like the policy itself, so write `memoryStore\(\[\{ policy: … \}\]\)`/,
    ],
    [
      'a document with `key` for `keys`',
      () => memoryStore([{ policy: { appId: 'a' }, key: [] } as never]),
      /memoryStore documents\[0\]: unknown option `key`: did you mean `keys`\?/,
    ],
    [
      'a guard that was mounted without being called',
      () => ipWhitelist(new IncomingMessage(new Socket()) as never),
      /^`ipWhitelist` takes .*: mount what `ipWhitelist` returns, `ipWhitelist\(\{ … \}\)`$/,
    ],
    [
      'a policy source in place of the options',
      () => protect(createPolicySource({ store: memoryStore() }) as never),
      /^`protect` takes .*; this is a policy source: write `protect\(\{ policies, … \}\)`$/,
    ],
    [
      'a document that is in no array',
      () => memoryStore({ policy: { appId: 'a' } } as never),
      /must be an array of `\{ policy, keys\? \}`, got an object with policy: write `memoryStore\(\[\{ policy, … \}\]\)`/,
    ],
    [
      'a policy that is in no array',
      () => memoryStore({ appId: 'a' } as never),
      /write `memoryStore\(\[\{ policy: … \}\]\)`/,
    ],
    ['null in place of documents', () => memoryStore(null as never), /must be an array .*, got null/],
    ['null in place of a document', () => memoryStore([null as never]), /documents\[0\]` must be .*got null/],
    [
      'a store in place of options',
      () => createPolicySource(memoryStore() as never),
      /`createPolicySource` takes an object with at least `store`, .*; this is a store: write `createPolicySource\(\{ store \}\)` around it/,
    ],
  ])('is made for %s', (_what, build, message) => {
    expect(errorOf(build).message).toMatch(message)
  })
})
