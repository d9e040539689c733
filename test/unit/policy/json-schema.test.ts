import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { parsePolicy, PolicyError, type PolicyInput } from 'portcullis'
import type * as z from 'zod/mini'
import { policyJsonSchema } from '../../../scripts/policy-schema.ts'
import type { PolicySchema } from '../../../src/policy/schema.ts'
import { repository } from '../../support/commands.ts'

interface Schema {
  readonly type?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly propertyNames?: Schema
  readonly minItems?: number
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
}

const schema = policyJsonSchema(join(repository, 'src/policy')) as Schema
const KNOWN =
  'type description title $schema default properties required additionalProperties propertyNames items anyOf enum pattern minLength maxLength minItems maxItems minimum maximum'.split(
    ' ',
  )

/** Validates with the keywords that the schema uses. An unknown keyword fails the test. */
function takes(rules: Schema, value: unknown): boolean {
  for (const keyword of Object.keys(rules)) expect(KNOWN).toContain(keyword)
  if (rules.anyOf !== undefined) return rules.anyOf.some((one) => takes(one, value))
  if (rules.enum !== undefined && !rules.enum.includes(value)) return false
  switch (rules.type) {
    case 'string':
      return (
        typeof value === 'string' &&
        new RegExp(rules.pattern ?? '', 'u').test(value) &&
        value.length >= (rules.minLength ?? 0) &&
        value.length <= (rules.maxLength ?? Infinity)
      )
    case 'integer':
      return (
        Number.isInteger(value) &&
        (value as number) >= (rules.minimum ?? -Infinity) &&
        (value as number) <= (rules.maximum ?? Infinity)
      )
    case 'boolean':
      return typeof value === 'boolean'
    case 'array':
      return (
        Array.isArray(value) &&
        value.length >= (rules.minItems ?? 0) &&
        value.length <= (rules.maxItems ?? Infinity) &&
        value.every((item) => takes(rules.items ?? {}, item))
      )
    case 'object': {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
      const { properties = {}, required = [] } = rules
      return (
        required.every((name) => Object.hasOwn(value, name)) &&
        Object.entries(value).every(([name, member]) =>
          Object.hasOwn(properties, name)
            ? takes(properties[name] as Schema, member)
            : takesMember(rules, name, member),
        )
      )
    }
    default:
      throw new Error(`no rule for ${JSON.stringify(rules)}`)
  }
}

/** Validates a member that the schema does not name. */
function takesMember(
  { additionalProperties, propertyNames }: Schema,
  name: string,
  member: unknown,
): boolean {
  if (propertyNames !== undefined && !takes(propertyNames, name)) return false
  return typeof additionalProperties === 'object'
    ? takes(additionalProperties, member)
    : additionalProperties !== false
}

function parses(document: unknown): boolean {
  try {
    parsePolicy(document)
    return true
  } catch (error) {
    if (error instanceof PolicyError) return false
    throw error
  }
}

const mode = 'enforce'
const REQUEST = {
  method: 'POST',
  url: 'https://gateway.example/x?y',
  headers: { 'x-origin': 'https://example.org' },
  body: '{}',
  signature: { age: -5, digest: false },
}

describe('the JSON Schema of a policy', () => {
  it.each<[document: unknown, taken: boolean]>([
    [{ appId: 'a' }, true],
    [{ appId: 'a', name: 'x', serverOnly: { mode, maxAge: 1, requireDigest: false } }, true],
    [{ appId: 'a', ipWhitelist: { mode, ranges: ['10.0.0.0/8'], deny: [], lists: ['office'] } }, true],
    [{ appId: 'a', ipWhitelist: { mode, denyLists: ['b'] } }, true],
    [{ appId: 'a', domainProtect: { mode, domains: ['https://a.example'], server: 'signed' } }, true],
    [{ appId: 'a', domainProtect: { mode, methods: ['GET'], maxAge: 7200, credentials: true } }, true],
    [{ appId: 'a', returnUrlGuard: { mode, urls: ['https://a.example/', { exact: 'app:/x' }] } }, true],
    [{ appId: 'a', regionPin: { mode, onMisdirected: 'redirect', fallback: 'europe' } }, true],
    [{ appId: 'a', auditAccess: { mode: 'off', onSinkFailure: 'allow' } }, true],
    [{ appId: 'a', expect: [{ name: 'x', request: {}, effect: 'deny' }] }, true],
    [
      {
        appId: 'a',
        expect: [{ name: 'x', request: REQUEST, guards: ['ipWhitelist'], code: 'ADDRESS_NOT_ALLOWED' }],
      },
      true,
    ],
    [{ appId: 'a', expect: [{ name: 'x', request: { country: ['FR', 'US'] }, effect: 'allow' }] }, true],
    [{ appId: 'a', expect: [{ request: {}, effect: 'deny' }] }, false],
    [{ appId: 'a', expect: [{ name: 'x', request: {}, effect: 'refuse' }] }, false],
    [{ appId: 'a', expect: [{ name: 'x', request: { url: 'ftp://a.example/' }, effect: 'deny' }] }, false],
    [{ appId: 'a', expect: [{ name: 'x', request: { headers: { 'a b': '' } }, effect: 'deny' }] }, false],
    [{ appId: 'a', expect: [{ name: 'x', request: { signature: { age: 90_000 } }, effect: 'deny' }] }, false],
    [{ appId: 'a', expect: [{ name: 'x', request: {}, guards: [], effect: 'deny' }] }, false],
    [
      { appId: 'a', expect: Array.from({ length: 101 }, () => ({ name: 'x', request: {}, effect: 'deny' })) },
      false,
    ],
    [{}, false],
    [[], false],
    [null, false],
    ['a', false],
    [{ appId: 'a b' }, false],
    [{ appId: 'a'.repeat(129) }, false],
    [{ appId: 'a', name: '' }, false],
    [{ appId: 'a', ipWhitelists: { mode } }, false],
    [{ appId: 'a', serverOnly: {} }, false],
    [{ appId: 'a', serverOnly: { mode: 'enforced' } }, false],
    [{ appId: 'a', serverOnly: { mode, maxAge: 0 } }, false],
    [{ appId: 'a', serverOnly: { mode, maxAge: 1.5 } }, false],
    [{ appId: 'a', serverOnly: { mode, maxAge: '300' } }, false],
    [{ appId: 'a', serverOnly: null }, false],
    [{ appId: 'a', ipWhitelist: { mode, rangez: [] } }, false],
    [{ appId: 'a', ipWhitelist: { mode, ranges: '10.0.0.1' } }, false],
    [{ appId: 'a', ipWhitelist: { mode, lists: ['a b'] } }, false],
    [{ appId: 'a', domainProtect: { mode, server: 'open' } }, false],
    [{ appId: 'a', domainProtect: { mode, maxAge: 7201 } }, false],
    [{ appId: 'a', domainProtect: { mode, methods: Array(101).fill('GET') } }, false],
    [{ appId: 'a', returnUrlGuard: { mode, urls: [{ exact: 'app:/x', more: 1 }] } }, false],
    [{ appId: 'a', returnUrlGuard: { mode, urls: [null] } }, false],
    [{ appId: 'a', regionPin: { mode, onMisdirected: 'drop' } }, false],
    [{ appId: 'a', regionPin: { mode, fallback: '' } }, false],
  ])('agrees with parsePolicy on %j', (document, taken) => {
    expect([takes(schema, document), parses(document)]).toEqual([taken, taken])
  })

  it('describes every member', () => {
    const bare = Object.entries(schema.properties ?? {}).flatMap(([name, { description, properties }]) =>
      properties === undefined
        ? description === undefined
          ? [name]
          : []
        : Object.entries(properties).flatMap(([key, member]) =>
            member.description === undefined ? [`${name}.${key}`] : [],
          ),
    )
    expect(bare).toEqual([])
  })
})

describe('PolicyInput', () => {
  it('matches the schema, with and without every default', () => {
    type Mutable<T> = T extends readonly (infer One)[]
      ? Mutable<One>[]
      : T extends object
        ? { -readonly [Name in keyof T]: Mutable<T[Name]> }
        : T
    type SchemaInput = z.input<PolicySchema>
    const written: PolicyInput = { appId: 'a', ipWhitelist: { mode: 'enforce' } }
    // In both directions, so that the compiler reports any difference.
    const one = (input: Mutable<PolicyInput>): SchemaInput => input
    const other = (input: SchemaInput): PolicyInput => input
    expect(parsePolicy(other(one(written as Mutable<PolicyInput>)))).toMatchObject(written)
  })

  it('refuses at compile time what parsePolicy refuses', () => {
    const refused: PolicyInput[] = [
      // @ts-expect-error -- not a mode
      { appId: 'a', serverOnly: { mode: 'enforced' } },
      // @ts-expect-error -- not a key of the section
      { appId: 'a', ipWhitelist: { mode: 'off', rangez: [] } },
      // @ts-expect-error -- the mode is missing
      { appId: 'a', auditAccess: {} },
      // @ts-expect-error -- not a section
      { appId: 'a', ipWhitelists: { mode: 'off' } },
    ]
    expect(refused.map(parses)).toEqual(refused.map(() => false))
  })
})

describe('`$schema` in a policy', () => {
  it('is accepted for editors, and not kept', () => {
    const policy = { $schema: './node_modules/portcullis/dist/policy.schema.json', appId: 'shop' }
    expect(parsePolicy(policy)).toEqual({ appId: 'shop' })
    expect(takes(schema, policy)).toBe(true)
  })

  it.each([[1], [null], [{}], ['x'.repeat(2_049)]])('is refused as %p', ($schema) => {
    expect(() => parsePolicy({ $schema, appId: 'shop' })).toThrow('$schema')
    expect(takes(schema, { $schema, appId: 'shop' })).toBe(false)
  })
})
