// Generates the JSON Schema of a policy, for editors and for checks outside Node.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import * as z from 'zod/mini'
import { policyShape } from '../src/policy/schema.ts'

interface JsonSchema {
  description?: string
  properties?: Record<string, JsonSchema>
}

/** A JSON Schema (2020-12) of a policy document. Every document that it rejects is also rejected by `parsePolicy`. */
export function policyJsonSchema(sources: string): object {
  const schema = z.toJSONSchema(policyShape().schema, { io: 'input', target: 'draft-2020-12' }) as JsonSchema
  const read = (name: string): string => readFileSync(join(sources, name), 'utf8')
  describe(schema, describedIn(read('policy.ts'), 'PolicyInput'))
  for (const file of readdirSync(join(sources, 'sections'))) {
    const source = read(join('sections', file))
    const [, written = '', others = ''] =
      /export interface (\w+) extends Protection(.*) \{/.exec(source) ?? []
    const section = schema.properties?.[camelCase(basename(file, '.ts'))]
    if (section?.properties === undefined) throw new Error(`${file} is not the section of a guard`)
    describe(section, describedIn(source, written))
    if (others.includes('CorsSettings')) describe(section, describedIn(read('cors.ts'), 'CorsSettings'))
    const { properties } = section
    if (properties['mode'] !== undefined) {
      properties['mode'].description =
        'enforce refuses, report only records what it would refuse, off checks nothing.'
    }
  }
  return { title: 'Portcullis policy', description: 'The policy document of one app.', ...schema }
}

/** The name of the guard whose section is in a file of this name. */
function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_hyphen, letter: string) => letter.toUpperCase())
}

function describe(
  { properties = {} }: JsonSchema,
  described: readonly (readonly [member: string, description: string])[],
): void {
  for (const [member, description] of described) {
    if (Object.hasOwn(properties, member)) properties[member] = { description, ...properties[member] }
  }
}

/** The members of an interface, with their doc comments as plain text. */
function describedIn(source: string, name: string): [member: string, description: string][] {
  const start = source.indexOf(`export interface ${name} `)
  const body = source.slice(start, source.indexOf('\n}', start))
  return [...body.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s+readonly ([$\w]+)/g)].map(
    ([, comment = '', member = '']) => [
      member,
      comment
        .split('\n')
        .map((line) => line.replace(/^\s*\* ?/, '').trim())
        .filter((line) => line !== '')
        .join(' '),
    ],
  )
}
