import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { signRequest } from '../../client/sign.ts'
import { isSignatureRefusal } from '../../signature/refusals.ts'
import { fail, pass, reportChecks, skip, warn, type Check, type Finding } from '../checks.ts'
import { judgeClock } from '../clock.ts'
import { CommandUsageError, EXIT, isSet, numberOf, textOf, type Invocation, type Run } from '../command.ts'
import { checkedUrl, curlOf, exchange, reasonOf, type Answer, type Outgoing } from '../exchange.ts'
import { readSecret, unreadableFile } from '../input.ts'
import { show } from '../output.ts'
import { FIXES, refusedIn, type Refused } from './fixes.ts'
import { isPrivate } from './private-address.ts'

/** The key that signs the requests. */
interface Key {
  readonly keyId: string
  readonly secret?: string
  readonly privateKey?: string
}

export const probe: Run = async (invocation) => {
  const { values, positionals } = invocation
  const key = await keyOf(invocation)
  const request = await requestOf(invocation, checkedUrl(positionals[0] ?? '', '`URL`'))
  const covered = [textOf(values, 'app-header')].filter((name) => name !== undefined)
  const sign = async (): Promise<Outgoing> =>
    key === undefined ? request : { ...request, headers: await signRequest(request, { ...key, covered }) }
  if (isSet(values, 'curl')) {
    const command = curlOf(await sign(), textOf(values, 'body-file'))
    await show(invocation, [command], { curl: command })
    return EXIT.ok
  }
  const timeout = (numberOf(values, 'timeout', 1) ?? 10) * 1_000
  const { body: _body, ...bare } = { ...request, method: 'GET' }
  let unsigned: Answer
  try {
    unsigned = await exchange(bare, timeout)
  } catch (error) {
    const { reason, fix } = reasonOf(error)
    const rest = IDS.slice(1).map((id): Check => ({ id, ...skip('the server cannot be reached') }))
    await reportChecks(invocation, [{ id: 'reach', ...fail(reason, fix) }, ...rest])
    return EXIT.unavailable
  }
  const signed = key === undefined ? undefined : await answers(await sign(), timeout)
  const findings = {
    reach: pass(`answered with status ${unsigned.status}`),
    clock: judgeClock(unsigned),
    unsigned: judgeUnsigned(unsigned),
    ...judgeSigned(unsigned, signed, request),
  }
  return reportChecks(
    invocation,
    IDS.map((id) => ({ id, ...findings[id] })),
  )
}

const IDS = ['reach', 'clock', 'unsigned', 'address', 'signature', 'digest', 'replay', 'answer'] as const

/** An answer, or the reason why there was none. */
type Attempt = Answer | Finding

/** The answers to a signed request, and to the repeated request if it has no side effects. */
interface Answers {
  readonly first: Attempt
  readonly second: Attempt | undefined
}

async function answers(request: Outgoing, timeout: number): Promise<Answers> {
  const first = await attempt(request, timeout)
  const isRepeated = isAnswer(first) && (request.method === 'GET' || request.method === 'HEAD')
  return { first, second: isRepeated ? await attempt(request, timeout) : undefined }
}

async function attempt(request: Outgoing, timeout: number): Promise<Attempt> {
  try {
    return await exchange(request, timeout)
  } catch (error) {
    const { reason, fix } = reasonOf(error)
    return fail(`the signed request was not answered: ${reason}`, fix)
  }
}

function isAnswer(attempt: Attempt): attempt is Answer {
  return 'text' in attempt
}

function judgeUnsigned(answer: Answer): Finding {
  const refused = refusedIn(answer.text)
  if (refused !== undefined)
    return isSignatureRefusal(refused.code)
      ? pass(`refused without a signature: ${refused.code}`)
      : skip(`refused for another reason than the missing signature: ${refused.code}`)
  if (answer.status >= 400)
    return skip(`answered with status ${answer.status}, which is not a refusal by a guard`)
  return warn(
    `answered with status ${answer.status} without a signature: no guard refused the request`,
    'check that the URL is guarded; if it is, tell the operator',
  )
}

/**
 * The finding for an answer that comes from something other than the guards: a proxy, a firewall, a login, or another service.
 */
function judgeStranger({ status }: Answer): Judged {
  const unknown = skip(`no guard has answered, but something else with status ${status}`)
  const fix =
    status < 400
      ? 'probe the URL that it redirects to: a signature is valid for one URL'
      : status < 500
        ? 'check the URL; if it is right, a proxy, a firewall or a login in front of the service refuses the request'
        : 'tell the operator: the service, or a proxy in front of it, fails'
  const answer = fail(`the answer, status ${status}, does not come from a guard`, fix)
  return { address: unknown, signature: unknown, digest: unknown, replay: unknown, answer }
}

type Judged = Readonly<Record<'address' | 'signature' | 'digest' | 'replay' | 'answer', Finding>>

function judgeSigned(unsigned: Answer, signed: Answers | undefined, { body, method }: Outgoing): Judged {
  if (signed === undefined || !isAnswer(signed.first)) {
    const reason = skip(
      signed === undefined
        ? 'give `--app`, `--key-id` and the secret'
        : 'the signed request was not answered',
    )
    const refused = refusedIn(unsigned.text)
    return {
      address: judgeAddress(unsigned, refused),
      signature: reason,
      digest: reason,
      replay: reason,
      answer: signed === undefined || isAnswer(signed.first) ? reason : signed.first,
    }
  }
  const { first, second } = signed
  const refused = refusedIn(first.text)
  if (refused === undefined && first.status >= 300 && refusedIn(unsigned.text) === undefined)
    return judgeStranger(first)
  const signature = judgeSignature(refused, isRequired(unsigned, second))
  return {
    address: judgeAddress(first, refused),
    signature,
    digest:
      body === undefined
        ? skip('give `--body-file` with content that may be sent')
        : judgeDigest(refused, signature),
    replay:
      refused === undefined || signature.status === 'pass'
        ? judgeReplay(second, method)
        : skip('the signature was not accepted the first time'),
    answer: judgeAnswer(first, refused),
  }
}

/** Codes of guards that run before the address is checked, or instead of that check. */
const BEFORE_ADDRESS: readonly string[] = [
  'APP_UNIDENTIFIED',
  'APP_UNKNOWN',
  'REGION_MISDIRECTED',
  'REGION_UNKNOWN',
]

function judgeAddress(
  { localAddress = 'an unknown address' }: Answer,
  refused: Refused | undefined,
): Finding {
  const seen = `this machine sends from ${localAddress}${isPrivate(localAddress) ? ', a private address; others see the address of its network' : ''}`
  if (refused?.code === 'ADDRESS_NOT_ALLOWED')
    return fail(
      `${seen}; the service refused the address it saw`,
      FIXES.ADDRESS_NOT_ALLOWED,
      'docs/proxies.md',
    )
  if (
    refused !== undefined &&
    (BEFORE_ADDRESS.includes(refused.code) || refused.code.endsWith('_UNAVAILABLE'))
  )
    return skip(`${seen}; the service did not get as far as the address (${refused.code})`)
  return pass(`${seen}; it was not refused`)
}

/** Whether an answer proves that the service checks signatures. */
function isRequired(unsigned: Answer, second: Attempt | undefined): boolean {
  return [unsigned, second].some((answer) => {
    const refused = answer !== undefined && isAnswer(answer) ? refusedIn(answer.text) : undefined
    return refused !== undefined && isSignatureRefusal(refused.code)
  })
}

function judgeSignature(refused: Refused | undefined, isShown = false): Finding {
  if (refused === undefined)
    return isShown
      ? pass('the signature was accepted')
      : skip('no guard refused the request, but no answer shows that the signature was checked')
  const { code, hints } = refused
  if (code === 'DIGEST_MISMATCH') return pass('the signature is valid')
  if (isSignatureRefusal(code))
    return fail(`${code}${hints === '' ? '' : `: ${hints}`}`, FIXES[code], 'docs/signing.md')
  return code.startsWith('RETURN_URL_')
    ? pass('the signature was accepted')
    : skip(`the signature was not checked: ${code}`)
}

function judgeDigest(refused: Refused | undefined, signature: Finding): Finding {
  if (refused === undefined)
    return signature.status === 'pass' ? pass('the content arrived unchanged') : signature
  if (refused.code === 'DIGEST_MISMATCH')
    return fail(
      'the content that arrived is not the content that was signed',
      FIXES.DIGEST_MISMATCH,
      'docs/signing.md',
    )
  return signature.status === 'pass'
    ? pass('the content arrived unchanged')
    : skip(`the content was not checked: ${refused.code}`)
}

function judgeReplay(second: Attempt | undefined, method: string): Finding {
  if (second !== undefined && !isAnswer(second)) return second
  if (second === undefined) return skip(`not tried, because ${method} may have side effects`)
  const refused = refusedIn(second.text)
  if (refused?.code === 'SIGNATURE_REPLAYED') return pass('the service refused the repeated request')
  if (refused !== undefined)
    return skip(`the repeated request was refused for another reason: ${refused.code}`)
  return warn(
    'the service accepted the same signed request twice',
    'tell the operator: `serverOnly` lacks the option `nonces`, or is not mounted for this URL',
    'docs/nonces.md',
  )
}

function judgeAnswer({ status }: Answer, refused: Refused | undefined): Finding {
  if (refused === undefined)
    return status < 500
      ? pass(`no guard refused the request; the service answered with status ${status}`)
      : fail(`the service failed with status ${status}`, 'tell the operator')
  return fail(
    `${refused.code}: ${refused.title}, request id ${refused.instance}`,
    FIXES[refused.code],
    `docs/codes.md#${refused.code.toLowerCase()}`,
  )
}

async function keyOf(invocation: Invocation): Promise<Key | undefined> {
  const { values } = invocation
  const [keyId, privateFile] = [textOf(values, 'key-id'), textOf(values, 'private-key-file')]
  if (keyId === undefined) {
    if (privateFile !== undefined || textOf(values, 'secret-file') !== undefined)
      throw new CommandUsageError('`--key-id` is missing')
    return undefined
  }
  if (privateFile !== undefined) {
    const privateKey = await readSecret(invocation, privateFile, '')
    if (privateKey !== undefined) return { keyId, privateKey }
  }
  const secret = await readSecret(invocation, textOf(values, 'secret-file'), 'PORTCULLIS_APP_SECRET')
  if (secret === undefined)
    throw new CommandUsageError(
      'the secret of the key is missing: set PORTCULLIS_APP_SECRET, or give `--secret-file` or `--private-key-file`',
    )
  return { keyId, secret }
}

async function requestOf({ values, directory }: Invocation, url: URL): Promise<Outgoing> {
  const [app, origin, path] = [textOf(values, 'app'), textOf(values, 'origin'), textOf(values, 'body-file')]
  let body: Uint8Array | undefined
  if (path !== undefined) {
    try {
      body = await readFile(resolve(directory, path))
    } catch (error) {
      throw unreadableFile(path, error)
    }
  }
  url.hash = ''
  return {
    method: (textOf(values, 'method') ?? (body === undefined ? 'GET' : 'POST')).toUpperCase(),
    url: url.href,
    headers: {
      accept: 'application/problem+json, */*',
      ...(app !== undefined && { [(textOf(values, 'app-header') ?? 'x-app-id').toLowerCase()]: app }),
      ...(origin !== undefined && { 'x-origin': origin }),
      ...(body !== undefined && { 'content-type': textOf(values, 'content-type') ?? 'application/json' }),
    },
    body,
  }
}
