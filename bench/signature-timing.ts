/**
 * Whether the time that a refusal takes tells who asks: Welch's t-test between a wrong signature by a known key, and a
 * signature by an unknown key or for an unknown app, over whole calls of the guard. Run with
 * `npm run bench:signature-timing`; ends with 1 when a difference is found.
 *
 * As dudect does it: calls of both alternate at random, the slowest tenth is left out (garbage collection, other processes),
 * and |t| of 4.5 counts as a difference. Each is measured against the reference alone, for what is called more often is
 * nearer to the processor. One process has its own layout of memory and of compiled code, which makes some 50 ns in either
 * direction for any two paths; so it is measured in many, and what counts is a difference that they have in common, beyond
 * the 0.25 % of a call (some 25 ns) that a few more characters of a text for the operator take. The last row is a control: a
 * request that is refused before any cryptography must be found to differ.
 */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { createPolicySource, memoryNonces, memoryStore, serverOnly } from 'portcullis'
import { signRequest } from 'portcullis/client'
import { atMost, header, line, median, percentile, type Row } from './store/table.ts'

const PROCESSES = 10
const CALLS = 10_000
const WARM_UP = 10_000
const SIGNED_ANEW_AFTER = 500
const KEPT = 0.9
const DIFFERENT = 4.5
/** Of a call, in percent: less than any network hides. */
const LARGEST_DIFFERENCE = 2
/**
 * Of a call, what is not looked into: a few more characters in a text for the operator. docs/guards/server-only.md says so,
 * so a difference within it is printed beside the verdict and not hidden by it.
 */
const INDIFFERENT = 0.0025
const HOST = 'gateway.example'

const secretOf = (): string => randomBytes(32).toString('base64')
const store = memoryStore(
  ['shop', 'desk'].map((appId) => ({
    policy: { appId, serverOnly: { mode: 'enforce' } },
    keys: ['key-1', 'key-2'].map((id) => ({ id, algorithm: 'hmac-sha256' as const, secret: secretOf() })),
  })),
)
const policies = createPolicySource({ store, unknownFor: 3_600_000 })
const guard = serverOnly({ policies, nonces: memoryNonces() })

type Headers = Readonly<Record<string, string>>

async function sign(appId: string, keyId: string): Promise<Headers> {
  const request = { method: 'GET', url: `http://${HOST}/auth/v2/me?a=1`, headers: { 'x-app-id': appId } }
  return { ...(await signRequest(request, { keyId, secret: secretOf() })), host: HOST }
}

interface Class {
  readonly what: string
  /** Signed anew now and then, so that no one signature is measured. */
  headers(): Promise<Headers>
}

const REFERENCE: Class = { what: 'a wrong signature by a known key', headers: () => sign('shop', 'key-1') }
const SAME: readonly Class[] = [
  { what: 'again a wrong signature by a known key', headers: () => sign('shop', 'key-1') },
  { what: 'a wrong signature by another key of the app', headers: () => sign('shop', 'key-2') },
  { what: 'a wrong signature by a key of another app', headers: () => sign('desk', 'key-1') },
  { what: 'an unknown key', headers: () => sign('shop', 'key-9') },
  { what: 'an unknown app', headers: () => sign('none', 'key-1') },
]
const CONTROL: Class = {
  what: 'control: refused before any cryptography',
  headers: async () => ({ ...(await sign('shop', 'key-1')), signature: 'sig1=:AAAA:' }),
}
/** How long the guard takes for one request, in nanoseconds. */
function call(headers: Headers): number {
  const socket = new Socket()
  const req = new IncomingMessage(socket)
  Object.assign(req, { method: 'GET', url: '/auth/v2/me?a=1', headers })
  req.rawHeaders = Object.entries(headers).flat()
  const res = new ServerResponse(req)
  const began = process.hrtime.bigint()
  guard(req, res, () => {
    throw new Error('a forged request has passed')
  })
  const took = Number(process.hrtime.bigint() - began)
  if (res.statusCode !== 401) throw new Error(`answered ${res.statusCode}, and not at once`)
  return took
}

const CLASSES = [...SAME, CONTROL]

/** The times of the reference and of another class, in a random order of calls. */
async function measure(other: Class, calls: number): Promise<[number[], number[]]> {
  const times: [number[], number[]] = [[], []]
  let headers: Headers[] = []
  for (let count = 0; times[0].length < calls || times[1].length < calls; count += 1) {
    if (count % SIGNED_ANEW_AFTER === 0)
      headers = await Promise.all([REFERENCE, other].map((one) => one.headers()))
    const chosen = Math.random() < 0.5 ? 0 : 1
    times[chosen].push(call(headers[chosen] ?? {}))
  }
  return times
}

/** How much longer a call takes than the reference, without the slowest of both. */
function difference(times: readonly number[], reference: readonly number[]): number {
  const bound = percentile([...times, ...reference], KEPT)
  const [mean, expected] = [times, reference].map(
    (list) => momentsOf(list.filter((time) => time <= bound)).mean,
  )
  return (mean ?? Number.NaN) - (expected ?? Number.NaN)
}

/** Welch's |t| of the differences against those of the reference with itself, beyond what is indifferent. */
function welch(one: readonly number[], other: readonly number[], indifferent: number): number {
  const [a, b] = [momentsOf(one), momentsOf(other)]
  const beyond = Math.max(0, Math.abs(a.mean - b.mean) - indifferent)
  return beyond / Math.sqrt(a.variance / a.count + b.variance / b.count)
}

function momentsOf(values: readonly number[]): { count: number; mean: number; variance: number } {
  const count = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / count
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1)
  return { count, mean, variance }
}

/** What one process finds: how long the reference takes, and how much longer each class. */
interface Finding {
  readonly reference: number
  readonly differences: readonly number[]
}

async function find(): Promise<Finding> {
  // So that an unknown app is as much in memory as a known one.
  for (const appId of ['shop', 'desk', 'none']) await policies.load(appId)
  for (const one of CLASSES) await measure(one, WARM_UP)
  const differences: number[] = []
  const references: number[] = []
  for (const one of CLASSES) {
    const [reference, times] = await measure(one, CALLS)
    differences.push(difference(times, reference))
    references.push(median(reference))
  }
  return { reference: median(references), differences }
}

async function findInProcess(): Promise<Finding> {
  const child = fork(process.argv[1] ?? '', ['child'])
  const [finding] = (await once(child, 'message')) as [Finding]
  return finding
}

async function compare(): Promise<void> {
  const findings: Finding[] = []
  for (let count = 0; count < PROCESSES; count += 1) findings.push(await findInProcess())
  const reference = median(findings.map((finding) => finding.reference))
  const of = (index: number): number[] => findings.map(({ differences }) => differences[index] ?? Number.NaN)
  const itself = of(0)
  const rows: Row[] = CLASSES.slice(1).flatMap((one, index) => {
    const differences = of(index + 1)
    const t = welch(differences, itself, reference * INDIFFERENT)
    const mean = Math.abs(momentsOf(differences).mean)
    const isControl = one === CONTROL
    const tested = {
      what: `${one.what}: |t|`,
      measured: t.toFixed(2),
      target: `${isControl ? '>=' : '<'} ${DIFFERENT}`,
      ok: isControl ? t >= DIFFERENT : t < DIFFERENT,
    }
    const share = (mean / reference) * 100
    return [
      tested,
      ...(isControl ? [] : [atMost('  difference, of a call', share, LARGEST_DIFFERENCE, '%', 2)]),
    ]
  })
  const call = (reference / 1_000).toFixed(1)
  console.log(`against ${REFERENCE.what} (${call} us), ${CALLS} calls of each in ${PROCESSES} processes`)
  const nanoseconds = (reference * INDIFFERENT).toFixed(0)
  console.log(`differences within ${INDIFFERENT * 100} % of a call (${nanoseconds} ns) are not looked into\n`)
  for (const text of [header, ...rows.map(line)]) console.log(text)
  process.exitCode = rows.some(({ ok }) => ok === false) ? 1 : 0
}

if (process.argv[2] === 'child') process.send?.(await find())
else await compare()
policies.close()
