/**
 * Tests whether the time of a refusal reveals that a key or an app exists: Welch's t-test between a wrong signature
 * with a known key, and a signature with an unknown key or for an unknown app, over complete calls of the guard. Run it
 * with `npm run bench:signature-timing`. Exits with 1 if it finds a difference.
 *
 * The method is that of dudect: calls of both classes alternate at random, the slowest tenth is discarded (garbage
 * collection, other processes), and |t| >= 4.5 counts as a difference. Each class is measured separately with the
 * reference, because code that is called more often is faster in the CPU caches. The layout of memory and of compiled
 * code in a process shifts any two paths by about 50 ns in either direction, so the test runs in many processes and
 * looks for a difference that they have in common. A difference of up to 0.25 % of a call (about 25 ns) is tolerated:
 * writing a few more characters for the operator takes this long. The last row is a control: a request that is refused
 * before any cryptography must show a difference.
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
/** The limit for a difference, in percent of a call. It is below the noise of any network. */
const LARGEST_DIFFERENCE = 2
/**
 * The tolerated difference, as a fraction of a call: the time to write a few more characters for the operator.
 * docs/guards/server-only.md explains it. The result states the tolerance, so it does not hide it.
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
  /** New signatures are created from time to time, so that not only one of them is measured. */
  headers(): Promise<Headers>
}

const REFERENCE: Class = { what: 'a wrong signature with a known key', headers: () => sign('shop', 'key-1') }
const SAME: readonly Class[] = [
  { what: 'another wrong signature with a known key', headers: () => sign('shop', 'key-1') },
  { what: 'a wrong signature with another key of the app', headers: () => sign('shop', 'key-2') },
  { what: 'a wrong signature with a key of another app', headers: () => sign('desk', 'key-1') },
  { what: 'an unknown key', headers: () => sign('shop', 'key-9') },
  { what: 'an unknown app', headers: () => sign('none', 'key-1') },
]
const CONTROL: Class = {
  what: 'control: refused before any cryptography',
  headers: async () => ({ ...(await sign('shop', 'key-1')), signature: 'sig1=:AAAA:' }),
}
/** The time of one call of the guard, in nanoseconds. */
function call(headers: Headers): number {
  const socket = new Socket()
  const req = new IncomingMessage(socket)
  Object.assign(req, { method: 'GET', url: '/auth/v2/me?a=1', headers })
  req.rawHeaders = Object.entries(headers).flat()
  const res = new ServerResponse(req)
  const began = process.hrtime.bigint()
  guard(req, res, () => {
    throw new Error('a forged request was allowed')
  })
  const took = Number(process.hrtime.bigint() - began)
  if (res.statusCode !== 401) throw new Error(`expected an immediate 401, got ${res.statusCode}`)
  return took
}

const CLASSES = [...SAME, CONTROL]

/** The times of the reference and of another class, called in random order. */
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

/** The difference of the mean times of a class and of the reference, without the slowest calls. */
function difference(times: readonly number[], reference: readonly number[]): number {
  const bound = percentile([...times, ...reference], KEPT)
  const [mean, expected] = [times, reference].map(
    (list) => momentsOf(list.filter((time) => time <= bound)).mean,
  )
  return (mean ?? Number.NaN) - (expected ?? Number.NaN)
}

/** Welch's |t| between the differences of a class and those of the reference with itself, beyond the tolerance. */
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

/** The result of one process: the time of the reference, and the difference of each class. */
interface Finding {
  readonly reference: number
  readonly differences: readonly number[]
}

async function find(): Promise<Finding> {
  // Loads the unknown app too, so that it is in memory like the known ones.
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
      ...(isControl ? [] : [atMost('  difference, relative to a call', share, LARGEST_DIFFERENCE, '%', 2)]),
    ]
  })
  const call = (reference / 1_000).toFixed(1)
  console.log(`against ${REFERENCE.what} (${call} us), ${CALLS} calls of each in ${PROCESSES} processes`)
  const nanoseconds = (reference * INDIFFERENT).toFixed(0)
  console.log(`differences within ${INDIFFERENT * 100} % of a call (${nanoseconds} ns) are tolerated\n`)
  for (const text of [header, ...rows.map(line)]) console.log(text)
  process.exitCode = rows.some(({ ok }) => ok === false) ? 1 : 0
}

if (process.argv[2] === 'child') process.send?.(await find())
else await compare()
policies.close()
