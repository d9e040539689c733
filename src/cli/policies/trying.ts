import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { meant } from '../../did-you-mean.ts'
import { explain, type Explanation } from '../../explain/explain.ts'
import type { RequestDescription } from '../../http/described-request.ts'
import { CommandUsageError, EXIT, textOf, textsOf, type Invocation, type Surroundings } from '../command.ts'
import { readInput, readJson, unreadableFile } from '../input.ts'
import { paint, plain, show } from '../output.ts'
import { withPolicies } from './named-policy.ts'

export const tryRequest = withPolicies(async (invocation, reader) => {
  const [operand = ''] = invocation.positionals
  if (
    operand === '-' &&
    [textOf(invocation.values, 'request'), textOf(invocation.values, 'body-file')].includes('-')
  )
    throw new CommandUsageError('the standard input can be read for one thing only')
  const { document, revision, keys } = await reader.read(operand)
  const description = await descriptionOf(invocation)
  const explanation = explain(document, { ...description, keys })
  const { passes, decisions, comparisons } = explanation
  await show(invocation, linesOf(invocation, explanation), {
    policy: operand,
    revision,
    passes,
    decisions,
    comparisons,
  })
  return passes ? EXIT.ok : EXIT.no
})

/** What a request is described by, besides functions and keys. */
const MEMBERS: Readonly<Record<string, 'string' | 'object'>> = {
  method: 'string',
  url: 'string',
  headers: 'object',
  body: 'string',
  address: 'string',
  returnUrl: 'string',
  relativeTo: 'string',
  reserved: 'object',
  country: 'string',
  here: 'string',
}

async function descriptionOf(invocation: Invocation): Promise<RequestDescription> {
  const { values } = invocation
  const path = textOf(values, 'request')
  const written = path === undefined ? {} : checkedRequest(await readJson(invocation, path), path)
  const bodyFile = textOf(values, 'body-file')
  const options = {
    method: textOf(values, 'method'),
    url: textOf(values, 'url'),
    address: textOf(values, 'address'),
    returnUrl: textOf(values, 'return-url'),
    country: textOf(values, 'country'),
    here: textOf(values, 'here'),
    body: bodyFile === undefined ? undefined : await bodyOf(invocation, bodyFile),
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const description = {
    ...written,
    ...given,
    headers: { ...written.headers, ...headersOf(textsOf(values, 'header')) },
  }
  const { url } = description as { readonly url?: string }
  if (url === undefined) throw new CommandUsageError('`--url` or `--request` is missing')
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url))
    throw new CommandUsageError(
      `\`--url\` must be an absolute URL as \`https://gateway.example/auth\`, got \`${url}\``,
    )
  return { ...description, url }
}

function checkedRequest(value: unknown, path: string): Partial<RequestDescription> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CommandUsageError(`\`${path}\` must hold a request, a JSON object`)
  for (const [name, member] of Object.entries(value)) {
    const expected = MEMBERS[name]
    if (expected === undefined)
      throw new CommandUsageError(
        `\`${path}\` has the unknown member \`${name}\`${meant(name, Object.keys(MEMBERS))}`,
      )
    if (typeof member !== expected)
      throw new CommandUsageError(
        `\`${name}\` in \`${path}\` must be ${expected === 'string' ? 'a string' : 'an object'}`,
      )
  }
  const { headers = {} } = value as { readonly headers?: Readonly<Record<string, unknown>> }
  for (const [name, line] of Object.entries(headers))
    if (typeof line !== 'string')
      throw new CommandUsageError(`the header \`${name}\` in \`${path}\` must be a string`)
  return value
}

async function bodyOf(invocation: Invocation, path: string): Promise<string | Uint8Array> {
  if (path === '-') return readInput(invocation)
  try {
    return await readFile(resolve(invocation.directory, path))
  } catch (error) {
    throw unreadableFile(path, error)
  }
}

/** Headers that are credentials, and so must not stand in an argument. */
const SECRET_HEADERS = ['authorization', 'proxy-authorization', 'cookie']

function headersOf(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      const name = line.slice(0, colon).trim().toLowerCase()
      if (colon < 1 || !/^[\w!#$%&'*+.^`|~-]+$/.test(name))
        throw new CommandUsageError(`\`--header\` must be written as \`Name: value\``)
      if (SECRET_HEADERS.includes(name))
        throw new CommandUsageError(
          `\`${name}\` in an argument can be seen by others: put it into a file for \`--request\``,
        )
      return [name, line.slice(colon + 1).trim()]
    }),
  )
}

function linesOf(surroundings: Surroundings, { passes, decisions, comparisons }: Explanation): string[] {
  const width = Math.max(0, ...decisions.map(({ guard }) => guard.length))
  return [
    ...decisions.map(({ guard, effect, mode, code, detail }) => {
      const verdict = paint(surroundings, effect === 'allow' ? 'green' : 'red', effect.padEnd(5))
      const said = [mode === 'enforce' ? '' : `(mode ${mode})`, code, plain(detail)].filter(
        (part) => part !== '',
      )
      return `${verdict}  ${guard.padEnd(width)}  ${said.join('  ')}`
    }),
    ...comparisons.flatMap(({ input, canonical, problem, entries, nearest }) => [
      plain(`${input} ${canonical ?? `was refused: ${problem ?? ''}`}, beside ${entries} entries`),
      ...nearest.map(({ entry, text }) =>
        plain(
          `  ${typeof entry === 'string' ? entry : `exact ${entry.exact}`}  ${text === '' ? 'admits it' : text}`,
        ),
      ),
    ]),
    passes ? 'the request would pass' : 'the request would be refused',
  ]
}
