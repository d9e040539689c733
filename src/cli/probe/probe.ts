import { readFile } from 'node:fs/promises'
import { BlockList, isIP } from 'node:net'
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

/** With what requests are signed. */
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
    reach: pass(`answered with ${unsigned.status}`),
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

/** The answers to a signed request, and to the very same one again where it changes nothing. */
interface Answers {
  readonly first: Answer
  readonly second: Answer | undefined
}

async function answers(request: Outgoing, timeout: number): Promise<Answers | undefined> {
  try {
    const first = await exchange(request, timeout)
    const isHarmless = request.method === 'GET' || request.method === 'HEAD'
    return { first, second: isHarmless ? await exchange(request, timeout) : undefined }
  } catch {
    return undefined
  }
}

function judgeUnsigned(answer: Answer): Finding {
  const refused = refusedIn(answer.text)
  if (refused !== undefined) return pass(`refused without a signature: ${refused.code}`)
  if (answer.status >= 400) return skip(`answered with ${answer.status}, which is not a refusal of a guard`)
  return warn(
    `answered with ${answer.status} without a signature: no guard refuses it`,
    'check that the URL is one that is guarded; otherwise tell the operator',
  )
}

type Judged = Readonly<Record<'address' | 'signature' | 'digest' | 'replay' | 'answer', Finding>>

function judgeSigned(unsigned: Answer, signed: Answers | undefined, { body, method }: Outgoing): Judged {
  if (signed === undefined) {
    const reason = skip('give `--app`, `--key-id` and the secret')
    const refused = refusedIn(unsigned.text)
    return {
      address: judgeAddress(unsigned, refused),
      signature: reason,
      digest: reason,
      replay: reason,
      answer: reason,
    }
  }
  const { first, second } = signed
  const refused = refusedIn(first.text)
  const signature = judgeSignature(refused)
  return {
    address: judgeAddress(first, refused),
    signature,
    digest:
      body === undefined ? skip('give `--body-file` with content that may be sent') : judgeDigest(refused),
    replay:
      signature.status === 'pass' ? judgeReplay(second, method) : skip('the signature did not count once'),
    answer: judgeAnswer(first, refused),
  }
}

/** Codes of guards that are asked before the address is, or instead of it. */
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
  const seen = `this machine sends from ${localAddress}${isPrivate(localAddress) ? ', a private address that others see as that of its network' : ''}`
  if (refused?.code === 'ADDRESS_NOT_ALLOWED')
    return fail(
      `${seen}; the service refuses the address that it sees`,
      FIXES.ADDRESS_NOT_ALLOWED,
      'docs/proxies.md',
    )
  if (
    refused !== undefined &&
    (BEFORE_ADDRESS.includes(refused.code) || refused.code.endsWith('_UNAVAILABLE'))
  )
    return skip(`${seen}; the service did not come to judge it (${refused.code})`)
  return pass(`${seen}; it was not refused`)
}

const PRIVATE = [
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['::1', 128, 'ipv6'],
] as const

/** Whether others see another address, since this one is not routed. */
function isPrivate(address: string): boolean {
  const list = new BlockList()
  for (const [network, prefix, family] of PRIVATE) list.addSubnet(network, prefix, family)
  const text = address.replace(/^::ffff:/, '').split('%', 1)[0] ?? ''
  return isIP(text) !== 0 && list.check(text, isIP(text) === 4 ? 'ipv4' : 'ipv6')
}

function judgeSignature(refused: Refused | undefined): Finding {
  if (refused === undefined) return pass('the signature was taken, or nobody looked at it')
  const { code, hints } = refused
  if (code === 'DIGEST_MISMATCH') return pass('the signature holds')
  if (isSignatureRefusal(code))
    return fail(`${code}${hints === '' ? '' : `: ${hints}`}`, FIXES[code], 'docs/signing.md')
  const isBefore = [
    ...BEFORE_ADDRESS,
    'ADDRESS_NOT_ALLOWED',
    'ORIGIN_REQUIRED',
    'ORIGIN_NOT_ALLOWED',
    'METHOD_NOT_ALLOWED',
  ]
  if (isBefore.includes(code) || code.endsWith('_UNAVAILABLE') || code === 'OPTION_FAILED')
    return skip(`another guard refused first: ${code}`)
  return pass('the signature was taken')
}

function judgeDigest(refused: Refused | undefined): Finding {
  if (refused === undefined) return pass('the content arrived as it was signed')
  if (refused.code === 'DIGEST_MISMATCH')
    return fail(
      'the content arrived as another one than was signed',
      FIXES.DIGEST_MISMATCH,
      'docs/signing.md',
    )
  return judgeSignature(refused).status === 'pass'
    ? pass('the content arrived as it was signed')
    : skip(`the content was not judged: ${refused.code}`)
}

function judgeReplay(second: Answer | undefined, method: string): Finding {
  if (second === undefined) return skip(`not tried with ${method}, which may change something`)
  const refused = refusedIn(second.text)
  if (refused?.code === 'SIGNATURE_REPLAYED') return pass('the same request was refused the second time')
  if (refused !== undefined) return skip(`the second request was refused otherwise: ${refused.code}`)
  return warn(
    'the same signed request was answered twice',
    'tell the operator: `serverOnly` needs the option `nonces`, or it is not mounted here',
    'docs/nonces.md',
  )
}

function judgeAnswer({ status }: Answer, refused: Refused | undefined): Finding {
  if (refused === undefined)
    return status < 500
      ? pass(`no guard refused; the service answered with ${status}`)
      : fail(`the service failed with ${status}`, 'tell the operator')
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
