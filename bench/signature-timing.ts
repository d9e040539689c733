/**
 * Whether the time that a refusal takes tells who asks: Welch's t-test between a wrong signature by a known key, and a
 * signature by an unknown key or for an unknown app, over whole calls of the guard. Run with
 * `node --import tsx bench/signature-timing.ts`; ends with 1 when a difference is found.
 *
 * As dudect does it: calls of the classes alternate at random, the slowest tenth is left out (garbage collection, other
 * processes), and |t| of 4.5 counts as a difference. The last row is a control: a request that is refused before any
 * cryptography must be found to differ.
 */
import { randomBytes } from 'node:crypto'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { createPolicySource, memoryNonces, memoryStore, serverOnly } from 'portcullis'
import { signRequest } from 'portcullis/client'
import { header, line, median, percentile, told, type Row } from './store/table.ts'

const ROUNDS = 5
const CALLS = 20_000
const WARM_UP = 10_000
const KEPT = 0.9
const DIFFERENT = 4.5
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
const classes = [REFERENCE, ...SAME, CONTROL]

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

/** The times of each class, in a random order of calls. */
async function measure(calls: number): Promise<number[][]> {
  const times: number[][] = classes.map(() => [])
  const rest = classes.map(() => calls)
  let headers: Headers[] = []
  for (let count = 0; count < calls * classes.length; count += 1) {
    if (count % 1_000 === 0) headers = await Promise.all(classes.map((one) => one.headers()))
    const left = rest.reduce((sum, each) => sum + each, 0)
    let chosen = Math.floor(Math.random() * left)
    const index = rest.findIndex((each) => (chosen -= each) < 0)
    rest[index] = (rest[index] ?? 0) - 1
    times[index]?.push(call(headers[index] ?? {}))
  }
  return times
}

/** Welch's t of two lists of times, without those above a bound that both have in common. */
function welch(one: readonly number[], other: readonly number[]): number {
  const bound = percentile([...one, ...other], KEPT)
  const [a, b] = [one, other].map((times) => momentsOf(times.filter((time) => time <= bound)))
  if (a === undefined || b === undefined) throw new Error('nothing was measured')
  return (a.mean - b.mean) / Math.sqrt(a.variance / a.count + b.variance / b.count)
}

function momentsOf(times: readonly number[]): { count: number; mean: number; variance: number } {
  const count = times.length
  const mean = times.reduce((sum, time) => sum + time, 0) / count
  const variance = times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / (count - 1)
  return { count, mean, variance }
}

// So that an unknown app is as much in memory as a known one.
for (const appId of ['shop', 'desk', 'none']) await policies.load(appId)
await measure(WARM_UP)
const rounds: number[][] = []
const medians: number[][] = []
for (let round = 0; round < ROUNDS; round += 1) {
  const [reference = [], ...others] = await measure(CALLS)
  rounds.push(others.map((times) => Math.abs(welch(reference, times))))
  medians.push([reference, ...others].map(median))
}
const medianOf = (lists: readonly (readonly number[])[], index: number): number =>
  median(lists.map((list) => list[index] ?? Number.NaN))

const rows: Row[] = classes.map(({ what }, index) => {
  const microseconds = `${(medianOf(medians, index) / 1_000).toFixed(2)} us`
  if (index === 0) return told(`${what}: median`, microseconds)
  const t = medianOf(rounds, index - 1)
  const isControl = index === classes.length - 1
  return {
    what: `${what}: |t| (median ${microseconds})`,
    measured: t.toFixed(2),
    target: `${isControl ? '>=' : '<'} ${DIFFERENT}`,
    ok: isControl ? t >= DIFFERENT : t < DIFFERENT,
  }
})
console.log(`${ROUNDS} rounds of ${CALLS} calls of each class; |t| is the median of the rounds\n`)
for (const text of [header, ...rows.map(line)]) console.log(text)
policies.close()
process.exitCode = rows.some(({ ok }) => ok === false) ? 1 : 0
