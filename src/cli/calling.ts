import { CommandUsageError, EXIT, textOf, type ApiCall, type ExitCode, type Invocation } from './command.ts'
import { checkedUrl, quoted } from './exchange.ts'
import { CURL_OPTIONS, JSON_OPTION, STORE_OPTIONS, YES_OPTION } from './option-rows.ts'
import { show } from './output.ts'

/** The environment variable with the token, which the shell reads when the printed command is run. We never read its value. */
const TOKEN = 'PORTCULLIS_CONSOLE_TOKEN'
const URL_VARIABLE = 'PORTCULLIS_CONSOLE_URL'
/** The limit for the content, in bytes. One argument of a process may have 131,072 bytes on Linux. */
const LONGEST = 100_000

/** Options that do not affect the request: the console has its own store, and does not ask for confirmation. */
const SILENT: Readonly<Record<string, unknown>> = {
  ...CURL_OPTIONS,
  ...STORE_OPTIONS,
  ...JSON_OPTION,
  ...YES_OPTION,
}

/** Prints the request to the admin API that does the same as the command, as a curl command. Does not use the store. */
export async function showCall(call: ApiCall, invocation: Invocation): Promise<ExitCode> {
  const { values } = invocation
  const { query = {}, conditional, options = [] } = call
  const known = [
    ...Object.keys(query),
    ...options,
    ...(conditional === undefined ? [] : ['if-revision']),
    ...Object.keys(SILENT),
  ]
  const unknown = Object.keys(values).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new CommandUsageError(
      `the console API does not support \`--${unknown}\`: leave it out, or run the command without \`--curl\``,
    )
  const { path, content } = await partsOf(call, invocation)
  const parameters = Object.entries(query).flatMap(([option, name]) => {
    const value = textOf(values, option)
    return value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]
  })
  const target = `${baseOf(invocation)}/api/${path}${parameters.length === 0 ? '' : `?${parameters.join('&')}`}`
  const lines = [
    // `printf` is a shell builtin, so the token is never an argument of a process, and reaches curl through a pipe.
    `printf 'Authorization: Bearer %s\\n' "$${TOKEN}" | curl -sS --fail-with-body -X ${call.method} -H @-`,
    ...(conditional === undefined ? [] : [`-H ${quoted(`If-Match: "${revisionOf(call, invocation)}"`)}`]),
    ...(content === undefined
      ? []
      : [`-H 'Content-Type: application/json'`, `--data-raw ${quoted(content)}`]),
    quoted(target),
  ]
  const command = lines.join(' \\\n  ')
  await show(invocation, [command], { curl: command })
  return EXIT.ok
}

async function partsOf(
  { path, content }: ApiCall,
  invocation: Invocation,
): Promise<{ readonly path: string; readonly content: string | undefined }> {
  const made = content === undefined ? undefined : await (await content())(invocation)
  const names = [...(made?.names ?? invocation.positionals)]
  const filled = path.split('/').flatMap((part) => {
    if (!/^\[?[A-Z]+\]?$/.test(part)) return [part]
    const name = names.shift()
    return name === undefined ? [] : [segment(name)]
  })
  const text = made?.body === undefined ? undefined : JSON.stringify(made.body)
  if (text !== undefined && Buffer.byteLength(text) > LONGEST)
    throw new CommandUsageError(
      `the content is longer than ${LONGEST.toLocaleString('en')} bytes, too long for a command line: run the command without \`--curl\``,
    )
  return { path: filled.join('/'), content: text }
}

/** The API accepts neither a path nor `APP@REVISION` as an app id. Dots are refused too, because curl would resolve them. */
function segment(name: string): string {
  if (/[@/\\]|\.json$|^\.*$/.test(name))
    throw new CommandUsageError(
      `with \`--curl\`, \`${name}\` must be an app id or a name, not a path or a revision`,
    )
  return encodeURIComponent(name)
}

function revisionOf({ conditional }: ApiCall, { values }: Invocation): string {
  if (conditional === 'new') return '0'
  const revision = textOf(values, 'if-revision')
  if (revision === undefined)
    throw new CommandUsageError('`--if-revision` is missing: the console API needs the revision to replace')
  if (/^\d{1,15}$/.test(revision)) return revision
  throw new CommandUsageError(`\`--if-revision\` must be a whole number of at least 0, got \`${revision}\``)
}

function baseOf({ values, env }: Invocation): string {
  const given = textOf(values, 'console')
  const text = given ?? env[URL_VARIABLE] ?? ''
  if (text === '')
    throw new CommandUsageError(`\`--console\` is missing: give \`--console URL\`, or set ${URL_VARIABLE}`)
  const { origin, pathname } = checkedUrl(text, given === undefined ? URL_VARIABLE : '`--console`')
  let end = pathname.length
  while (pathname[end - 1] === '/') end -= 1
  return `${origin}${pathname.slice(0, end)}`
}
