import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { meant } from '../../did-you-mean.ts'
import { readLists } from '../../explain/compare-policies.ts'
import { explain, type Explanation } from '../../explain/explain.ts'
import type { RequestDescription } from '../../http/described-request.ts'
import { DEFAULT_JURISDICTIONS } from '../../jurisdiction/jurisdictions.ts'
import { parseIp } from '../../match/ip.ts'
import { parsePolicy } from '../../policy/parse.ts'
import type { Policy } from '../../policy/policy.ts'
import type { GuardName } from '../../policy/sections.ts'
import { triedRequest } from '../../policy/expectation-schema.ts'
import { CommandUsageError, EXIT, textOf, textsOf, type Invocation, type Surroundings } from '../command.ts'
import { readInput, readJson, unreadableFile } from '../input.ts'
import { counted, paint, plain, show } from '../output.ts'
import { withPolicies } from './named-policy.ts'

export const tryRequest = withPolicies(async (invocation, reader) => {
  const [operand = ''] = invocation.positionals
  if (
    operand === '-' &&
    [textOf(invocation.values, 'request'), textOf(invocation.values, 'body-file')].includes('-')
  )
    throw new CommandUsageError('standard input can be read only once: use `-` for one option only')
  const { document, revision, keys } = await reader.read(operand)
  const description = await descriptionOf(invocation)
  checkFacts(invocation, description)
  const policy = parsePolicy(document)
  const lists = await readLists(listNamesOf(policy), reader.lists)
  const explanation = explain(document, { ...description, keys, lists })
  const { passes, decisions, comparisons } = explanation
  await show(invocation, linesOf(invocation, explanation, uncheckedLines(explanation, policy)), {
    policy: operand,
    revision,
    passes,
    decisions,
    comparisons,
  })
  return passes ? EXIT.ok : EXIT.no
})

/** The lists that affect the answer. */
function listNamesOf({ ipWhitelist }: Policy): readonly string[] {
  return ipWhitelist === undefined ? [] : [...ipWhitelist.lists, ...(ipWhitelist.denyLists ?? [])]
}

export async function descriptionOf(invocation: Invocation): Promise<RequestDescription> {
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
  const headers = headersOf(textsOf(values, 'header'))
  const others = Object.entries(written.headers ?? {}).filter(([name]) => !headers.has(name.toLowerCase()))
  const description = { ...written, ...given, headers: Object.fromEntries([...others, ...headers]) }
  const { url } = description as { readonly url?: string }
  if (url === undefined) throw new CommandUsageError('`--url` or `--request` is missing')
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url))
    throw new CommandUsageError(
      `\`--url\` must be an absolute URL such as \`https://gateway.example/auth\`, got \`${url}\``,
    )
  return { ...description, url }
}

const LOCATIONS = Object.values(DEFAULT_JURISDICTIONS).flatMap(({ locations }) => locations)

/** @throws CommandUsageError for a value that no request can have */
function checkFacts({ values }: Invocation, { address, here }: RequestDescription): void {
  const nameOf = (name: string): string =>
    textOf(values, name) === undefined ? `\`${name}\` of the request` : `\`--${name}\``
  if (address !== undefined && parseIp(address) === undefined)
    throw new CommandUsageError(
      `${nameOf('address')} must be an IPv4 or IPv6 address such as \`203.0.113.7\`, got \`${address}\``,
    )
  if (here !== undefined && !LOCATIONS.includes(here))
    throw new CommandUsageError(
      `${nameOf('here')} must be one of ${LOCATIONS.join(', ')}, got \`${here}\`${meant(here, LOCATIONS)}`,
    )
}

/** The option that each of these guards needs. Without it, the guard is not asked. */
const NEEDS: Partial<Record<GuardName, string>> = { returnUrlGuard: '--return-url', regionPin: '--here' }

/** The guards that the policy turns on and that were not asked, one line each. */
function uncheckedLines({ decisions }: Explanation, policy: Policy): string[] {
  return Object.entries(NEEDS).flatMap(([guard, option]) => {
    const mode = policy[guard as GuardName]?.mode ?? 'off'
    const isAsked = mode === 'off' || decisions.some((decision) => decision.guard === guard)
    return isAsked ? [] : [`not checked: ${guard} (give \`${option}\`)`]
  })
}

function checkedRequest(value: unknown, path: string): Partial<RequestDescription> {
  const result = triedRequest().safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const where = issue?.code === 'unrecognized_keys' ? (issue.keys[0] ?? '') : (issue?.path.join('.') ?? '')
  const why =
    issue?.code === 'unrecognized_keys' ? `is not known${meant(where, MEMBERS)}` : (issue?.message ?? '')
  throw new CommandUsageError(
    where === ''
      ? `\`${path}\` must contain a request as a JSON object`
      : `\`${where}\` in \`${path}\` ${why}`,
  )
}

const MEMBERS = Object.keys(triedRequest().shape)

async function bodyOf(invocation: Invocation, path: string): Promise<string | Uint8Array> {
  if (path === '-') return readInput(invocation)
  try {
    return await readFile(resolve(invocation.directory, path))
  } catch (error) {
    throw unreadableFile(path, error)
  }
}

/** Headers with credentials, which must not be passed as an argument. */
const SECRET_HEADERS = ['authorization', 'proxy-authorization', 'cookie']

function headersOf(lines: readonly string[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).trim().toLowerCase()
    if (colon < 1 || !/^[\w!#$%&'*+.^`|~-]+$/.test(name))
      throw new CommandUsageError(`\`--header\` must be written as \`Name: value\``)
    if (SECRET_HEADERS.includes(name))
      throw new CommandUsageError(
        `others can see \`${name}\` in an argument: put it in a file, and give that with \`--request\``,
      )
    if (headers.has(name))
      throw new CommandUsageError(
        `\`--header\` gives \`${name}\` twice: a request can be tried with one value`,
      )
    headers.set(name, line.slice(colon + 1).trim())
  }
  return headers
}

function linesOf(
  surroundings: Surroundings,
  { passes, decisions, comparisons }: Explanation,
  unchecked: readonly string[],
): string[] {
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
      plain(
        `${input} ${canonical ?? `was refused: ${problem ?? ''}`}, compared with ${counted(entries, 'entry', 'entries')}`,
      ),
      ...nearest.map(({ entry, text }) =>
        plain(
          `  ${typeof entry === 'string' ? entry : `exact ${entry.exact}`}  ${text === '' ? 'allows it' : text}`,
        ),
      ),
    ]),
    ...unchecked,
    !passes
      ? 'the request would be refused'
      : unchecked.length === 0
        ? 'the request would pass'
        : 'the request would pass the guards that were checked',
  ]
}
