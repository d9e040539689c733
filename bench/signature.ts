/**
 * Measures the verification of a signed GET, compared with a bare HMAC over the same signature base and with other
 * packages for RFC 9421. Run it with `npm run bench:signature`; `-- --rounds 201` makes fewer rounds. Exits with 1 if
 * the target is missed.
 *
 * Ours does everything that `serverOnly` does, except claiming the nonce, and starts from the request as Node provides
 * it. Each contestant takes turns with the bare HMAC, with new requests. Results are medians of the rounds, in CPU
 * time.
 */
import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import * as messageSig from 'http-message-sig'
import { createVerifier, httpbis } from 'http-message-signatures'
import { NodeFacts } from '../src/http/request/facts.ts'
import type { GuardRequest } from '../src/http/handler.ts'
import { parseAppKeys } from '../src/signature/keys.ts'
import { verifyMessage } from '../src/signature/verify.ts'
import { atMost, header, line, median, told, type Row } from './store/table.ts'

const ROUNDS = 1001
// Few enough requests to stay in the CPU caches, like a request that has just arrived.
const SIZE = 40
const WARM_UP = 500
const RULES = { maxAge: 300, requireDigest: true, requireContentType: true }

const secret = randomBytes(32)
const secretKey = createSecretKey(secret)
const keys = parseAppKeys([{ id: 'key-1', algorithm: 'hmac-sha256', secret: secret.toString('base64') }])

/** A signed request in the form that each contestant takes. */
interface Sample {
  readonly request: GuardRequest
  readonly base: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly fields: readonly { readonly name: string; readonly value: string }[]
}

/** A new, flat string, as it comes from the network. */
const fresh = (text: string): string => Buffer.from(text, 'latin1').toString('latin1')

function sample(number: number): Sample {
  const path = `/auth/v2/session/${randomBytes(6).toString('hex')}`
  const query = `?user=${number}&scope=profile%20email`
  const parameters = `created=${Math.floor(Date.now() / 1000)};keyid="key-1";nonce="${randomBytes(16).toString('base64')}"`
  const input = `("@method" "@authority" "@path" "@query" "x-app-id");${parameters}`
  const base = [
    '"@method": GET',
    '"@authority": gateway.example',
    `"@path": ${path}`,
    `"@query": ${query}`,
    '"x-app-id": example-shop',
    `"@signature-params": ${input}`,
  ].join('\n')
  const headers: Record<string, string> = {
    host: 'gateway.example',
    connection: 'keep-alive',
    accept: 'application/json',
    'accept-language': '*',
    'user-agent': 'node',
    'accept-encoding': 'gzip, deflate',
    'x-app-id': 'example-shop',
    'signature-input': `sig1=${input}`,
    signature: `sig1=:${createHmac('sha256', secret).update(base).digest('base64')}:`,
  }
  for (const name in headers) headers[name] = fresh(headers[name] ?? '')
  const request = {
    method: 'GET',
    url: path + query,
    originalUrl: fresh(path + query),
    protocol: 'https',
    headers,
    rawHeaders: Object.entries(headers).flat(),
    socket: {},
  } as unknown as GuardRequest
  return {
    request,
    base: fresh(base),
    url: `https://gateway.example${path}${query}`,
    headers,
    fields: Object.entries(headers).map(([name, value]) => ({ name, value })),
  }
}

type Contestant = (sample: Sample) => boolean | Promise<boolean>

const verifier = createVerifier(secret, 'hmac-sha256')
const sigVerifier = {
  algorithm: 'hmac-sha256',
  verify: (data: Uint8Array, signature: Uint8Array) =>
    createHmac('sha256', secretKey).update(data).digest().equals(signature),
}

// The faster of the two kinds.
const BARE = 'a bare createHmac with a KeyObject'
const OURS = 'verification of a signed GET'

const contestants: Readonly<Record<string, Contestant>> = {
  [BARE]: ({ base }) => createHmac('sha256', secretKey).update(base).digest().length === 32,
  'a bare createHmac with the secret': ({ base }) =>
    createHmac('sha256', secret).update(base).digest().length === 32,
  [OURS]: ({ request }) => verifyMessage(new NodeFacts(request).message(), keys, RULES, Date.now()).ok,
  'http-message-signatures': async ({ url, headers }) =>
    (await httpbis.verifyMessage(
      { keyLookup: async () => ({ id: 'key-1', verify: verifier }), maxAge: 300 },
      { method: 'GET', url, headers },
    )) === true,
  'http-message-sig': async ({ url, fields }) => {
    const { algorithm } = await messageSig.verifySignature(
      { kind: 'request', method: 'GET', targetUri: url, fields },
      {
        policy: {
          algorithms: ['hmac-sha256'],
          requiredComponents: ['@method', '@authority', '@path', '@query'],
          requiredParameters: ['created', 'nonce', 'keyid'],
          maxAge: 300,
        },
        resolveVerifier: () => sigVerifier,
      },
    )
    return algorithm === 'hmac-sha256'
  },
}

/** CPU time per sample, in microseconds. */
async function measure(contestant: Contestant, samples: readonly Sample[]): Promise<number> {
  const before = process.cpuUsage()
  let right = 0
  for (const one of samples) {
    const answer = contestant(one)
    if (typeof answer === 'boolean' ? answer : await answer) right++
  }
  const { user, system } = process.cpuUsage(before)
  if (right !== samples.length) throw new Error(`${samples.length - right} valid signatures were refused`)
  return (user + system) / samples.length
}

const { values } = parseArgs({ options: { rounds: { type: 'string' } } })
const rounds = Number(values.rounds ?? ROUNDS)

/**
 * The medians of these contestants, which take turns. Others are not measured in between, because they would affect
 * caches and code.
 */
async function contest(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number[]>(names.map((name) => [name, []]))
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const name of names) {
      const samples = Array.from({ length: SIZE }, (_, index) => sample(index))
      const time = await measure(contestants[name] as Contestant, samples)
      if (round >= 0) times.get(name)?.push(time)
    }
  }
  return new Map([...times].map(([name, taken]) => [name, median(taken)]))
}

const rows: Row[] = []
for (const names of [
  [BARE, OURS],
  ...Object.keys(contestants)
    .filter((name) => name !== BARE && name !== OURS)
    .map((name) => [BARE, name]),
]) {
  const times = await contest(names)
  const [bare, other] = names.map((name) => times.get(name) ?? Number.NaN) as [number, number]
  const [, name] = names
  if (name === OURS) {
    rows.push(told(BARE, `${bare.toFixed(2)} us`))
    rows.push(atMost(`${OURS}, relative to it (P10)`, other / bare, 1.5, '', 2))
  } else rows.push(told(`${name}, relative to it`, (other / bare).toFixed(2)))
}
console.log(`Node ${process.version}, medians of ${rounds} rounds of ${SIZE} requests\n\n${header}`)
for (const row of rows) console.log(line(row))
process.exitCode = rows.every(({ ok }) => ok !== false) ? 0 : 1
