import * as z from 'zod/mini'
import { APP_ID_PATTERN, NAME_RULE } from '../names.ts'
import { expectations } from './expectation-schema.ts'
import { GUARD_NAMES, sectionOf } from './sections.ts'

const makeSchema = () =>
  z.strictObject({
    // Editors complete a document by it. `readPolicy` drops it.
    $schema: z.optional(z.string().check(z.maxLength(2_048))),
    appId: z.string().check(z.regex(APP_ID_PATTERN, NAME_RULE)),
    name: z.optional(z.string().check(z.minLength(1), z.maxLength(200))),
    ...Object.fromEntries(
      GUARD_NAMES.map((name) => [name, z.optional(sectionOf(name).schema() as z.ZodMiniObject)]),
    ),
    expect: z.optional(expectations()),
  })

export type PolicySchema = ReturnType<typeof makeSchema>

export interface PolicyShape {
  /** Every object is strict: unknown keys are refused. */
  readonly schema: PolicySchema
  /** The keys of a policy (under the empty name) and of each of its sections. */
  readonly keys: ReadonlyMap<string, readonly string[]>
}

let shape: PolicyShape | undefined

/** The shape of a policy document. Built when the first policy is read, to keep it out of the start-up time. */
export function policyShape(): PolicyShape {
  if (shape === undefined) {
    const schema = makeSchema()
    shape = { schema, keys: keysOf(schema) }
  }
  return shape
}

function keysOf({ shape }: PolicySchema): PolicyShape['keys'] {
  return new Map([
    ['', Object.keys(shape)],
    ...Object.entries(shape).flatMap(([name, member]): [string, string[]][] => {
      const section: unknown = member instanceof z.ZodMiniOptional ? member.def.innerType : member
      return section instanceof z.ZodMiniObject ? [[name, Object.keys(section.shape)]] : []
    }),
  ])
}
