/**
 * Throughput of the guards as Express middleware, relative to bare Express, side by side with what is usually mounted.
 * Servers run in a process of their own and are loaded in turn; the median of the rounds counts.
 * Run with `npm run bench`. Absolute figures depend on the machine, ratios less so.
 */
import { fork } from 'node:child_process'
import { connect } from 'node:net'
import cors from 'cors'
import express, { type Express, type RequestHandler } from 'express'
import helmet from 'helmet'
import {
  auditAccess,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryStore,
  regionPin,
  returnUrlGuard,
  type PolicySource,
} from 'portcullis'

const ROUNDS = 5
const WARM_UP = 4
const REQUESTS = 6_000
const CONNECTIONS = 32
const ORIGIN = 'https://example.org'
const CLOSING_BRACE = 125

const POLICY = {
  appId: 'app',
  ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8', '203.0.113.0/24'] },
  domainProtect: { mode: 'enforce', domains: [ORIGIN] },
  returnUrlGuard: { mode: 'enforce', urls: [`${ORIGIN}/callback/`] },
  regionPin: { mode: 'enforce' },
  auditAccess: { mode: 'enforce' },
}

function guards(policies: PolicySource, only?: string): RequestHandler[] {
  const shared = { policies }
  const all: Record<string, unknown> = {
    auditAccess: auditAccess({ ...shared, sink: { write: () => undefined } }),
    regionPin: regionPin({ ...shared, here: 'london', country: () => 'DE' }),
    ipWhitelist: ipWhitelist(shared),
    domainProtect: domainProtect(shared),
    returnUrlGuard: returnUrlGuard({ ...shared, returnUrl: () => `${ORIGIN}/callback/abc?x=1` }),
  }
  return Object.entries(all)
    .filter(([name]) => only === undefined || name === only)
    .map(([, guard]) => guard as RequestHandler)
}

const variants: Record<string, (app: Express) => void> = {
  'bare Express': () => undefined,
  helmet: (app) => void app.use(helmet()),
  cors: (app) => void app.use(cors({ origin: (_origin, callback) => callback(null, true) })),
  'five guards': (app) => void app.use(guards(source())),
  ...Object.fromEntries(
    ['auditAccess', 'regionPin', 'ipWhitelist', 'domainProtect', 'returnUrlGuard'].map((name) => [
      name,
      (app: Express) => void app.use(guards(source(), name)),
    ]),
  ),
  'a refusal': (app) =>
    void app.use(
      ipWhitelist({ policies: createPolicySource({ store: memoryStore() }), appId: () => undefined }),
    ),
}

function source(): PolicySource {
  return createPolicySource({ store: memoryStore([{ policy: POLICY }]) })
}

function serve(name: string): void {
  const app = express()
  variants[name]?.(app)
  app.get('/', (_req, res) => void res.json({ hello: 'world' }))
  const server = app.listen(0, '127.0.0.1', () => {
    const address = server.address()
    process.send?.(typeof address === 'object' ? address?.port : undefined)
  })
  process.on('disconnect', () => process.exit(0))
}

/**
 * Requests over connections that stay open, one at a time on each. It looks only for the end of an answer, which is the end
 * of its JSON: a client that parses would be the slower part, and headers would count twice.
 */
function load(port: number): Promise<number> {
  const request = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nx-app-id: app\r\nOrigin: ${ORIGIN}\r\n\r\n`
  let left = REQUESTS
  const begun = performance.now()
  const run = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      const next = (): void => {
        if (left-- > 0) socket.write(request)
        else socket.end(resolve)
      }
      socket.on('connect', next).on('error', reject)
      socket.on('data', (bytes) => {
        if (bytes.at(-1) === CLOSING_BRACE) next()
      })
    })
  return Promise.all(Array.from({ length: CONNECTIONS }, run)).then(
    () => REQUESTS / (performance.now() - begun),
  )
}

async function main(): Promise<void> {
  const running = await Promise.all(
    Object.keys(variants).map(async (name) => {
      const child = fork(process.argv[1] as string, [name])
      const port = await new Promise<number>((resolve) =>
        child.once('message', (message) => resolve(message as number)),
      )
      return { name, child, port, ratios: [] as number[] }
    }),
  )
  // Every server runs hot before anything counts, or the one that was loaded most would look best.
  for (const { port } of running) for (let round = 0; round < WARM_UP; round += 1) await load(port)
  const bare = running[0] as (typeof running)[number]
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { port, ratios } of running) {
      // Each is compared with bare Express loaded just before it.
      const base = await load(bare.port)
      ratios.push((await load(port)) / base)
    }
  }
  console.log(
    `Node ${process.version}, requests per second relative to bare Express, median of ${ROUNDS} rounds`,
  )
  for (const { name, ratios, child } of running) {
    const sorted = [...ratios].sort((a, b) => a - b)
    console.log(`${name.padEnd(16)} ${(sorted[Math.floor(sorted.length / 2)] ?? 0).toFixed(2)}`)
    child.disconnect()
  }
}

const [variant] = process.argv.slice(2)
if (variant === undefined) await main()
else serve(variant)
