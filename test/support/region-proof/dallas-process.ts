/**
 * An application that serves only Dallas, without clients for London or Frankfurt. Like many applications, it remembers
 * the records that it has served. Forked with the port of its Redis, and with `forgetful` or `careless`: a careless
 * application also remembers all requests before any guard. It answers a message with a path by writing a heap snapshot
 * to it. Needs --expose-gc.
 */
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeHeapSnapshot } from 'node:v8'
import express, { type Request } from 'express'
import { Redis } from 'ioredis'
import { bodyParsers, createPolicySource, memoryStore, regionPin, type PolicyInput } from 'portcullis'
import { regionalStore, regions, type PersonHandle, type PersonId } from 'portcullis/region'

const [port, manner] = process.argv.slice(2)
const dallas = new Redis(Number(port), '127.0.0.1', { enableOfflineQueue: false, maxRetriesPerRequest: 0 })
dallas.on('error', () => undefined)
await new Promise<void>((resolve) => dallas.once('ready', () => resolve()))
const places = regions()
const store = regionalStore({ regions: places, clients: { dallas } })
const policy: PolicyInput = { appId: 'shop', regionPin: { mode: 'enforce' } }
const policies = createPolicySource({ store: memoryStore([{ policy }]) })

const served = new Map<string, unknown>()
const asked: unknown[] = []
const idOf = (req: Request): string => String(req.params['id'])

const app = express()
app.use(bodyParsers())
if (manner === 'careless')
  app.use((req, _res, next) => void next(asked.push(req.body, req.url) > 0 ? undefined : 1))
app.use(
  '/people/:id',
  regionPin({
    policies,
    appId: () => 'shop',
    here: 'dallas',
    store,
    personId: (req) => (req as Request).get('x-person-id'),
    country: { body: 'country' },
    onDeny: (decision, _req, res) => void (res as express.Response).status(421).json({ code: decision.code }),
  }),
)
app.put('/people/:id', async (req, res) => {
  const people = req.portcullis.region?.store as PersonHandle
  const revision = await people.put(idOf(req) as PersonId, req.body as object, 0)
  served.set(idOf(req), req.body)
  res.json({ revision })
})

const server = app.listen(0, '127.0.0.1', () =>
  process.send?.({ port: (server.address() as AddressInfo).port }),
)
process.on('disconnect', () => process.exit(0))
process.on('message', (path) => void snapshot(String(path)))

async function snapshot(path: string): Promise<void> {
  server.closeIdleConnections()
  for (let turn = 0; turn < 5; turn += 1) {
    await sleep(50)
    globalThis.gc?.()
  }
  process.send?.({ path: writeHeapSnapshot(path), asked: asked.length, served: served.size })
}
