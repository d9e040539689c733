// Makes the JSON Schema of a policy, for editors and for checks outside of Node.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { policyShape } from '../src/policy/schema.ts'

interface JsonSchema {
  description?: string
  properties?: Record<string, JsonSchema>
}

/** The interfaces whose doc comments describe the members of a section; under the empty name those of the policy itself. */
const INTERFACES: Readonly<Record<string, readonly string[]>> = {
  '': ['PolicyInput'],
  serverOnly: ['ServerOnlyProtection'],
  ipWhitelist: ['IpWhitelistProtection'],
  domainProtect: ['DomainProtection', 'CorsSettings'],
  returnUrlGuard: ['ReturnUrlProtection'],
  regionPin: ['RegionProtection'],
  auditAccess: ['AuditProtection'],
}

/** A JSON Schema (2020-12) of a policy document as it is written. What it refuses, `parsePolicy` refuses too. */
export function policyJsonSchema(sources: string): object {
  const schema = z.toJSONSchema(policyShape().schema, { io: 'input', target: 'draft-2020-12' }) as JsonSchema
  const comments = ['policy.ts', 'cors.ts']
    .map((name) => readFileSync(join(sources, name), 'utf8'))
    .join('\n')
  for (const [section, names] of Object.entries(INTERFACES)) {
    const properties = (section === '' ? schema : schema.properties?.[section])?.properties ?? {}
    for (const [member, description] of names.flatMap((name) => describedIn(comments, name))) {
      if (Object.hasOwn(properties, member)) properties[member] = { description, ...properties[member] }
    }
    if (properties['mode'] !== undefined) {
      properties['mode'].description =
        'enforce refuses, report only records what it would refuse, off asks nothing.'
    }
  }
  return { title: 'Portcullis policy', description: 'The policy document of one app.', ...schema }
}

/** The members of an interface with their doc comments, as plain text. */
function describedIn(source: string, name: string): [member: string, description: string][] {
  const start = source.indexOf(`export interface ${name} `)
  const body = source.slice(start, source.indexOf('\n}', start))
  return [...body.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s+readonly (\w+)/g)].map(
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
