import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createServer, type RequestListener, type Server } from 'node:http'
import express, { type Express, type RequestHandler } from 'express'
import { createPolicySource, memoryStore, type AppKey, type PolicySource, type PolicyInput } from 'portcullis'

export const APP = 'app-1'

export const KEY: AppKey = {
  id: 'key-1',
  algorithm: 'hmac-sha256',
  secret: randomBytes(32).toString('base64'),
}

export interface ProtectedApp {
  app: Express
  store: ReturnType<typeof memoryStore>
  policies: PolicySource
  /** Requests that have reached the handler. */
  reached: string[]
}

/** An Express app with the given guards and one client app with the given sections. Every route answers 200. */
export function protectedApp(
  sections: Partial<PolicyInput>,
  guards: (policies: PolicySource) => readonly unknown[],
  handler: RequestHandler = (_req, res) => void res.json({ ok: true }),
): ProtectedApp {
  const store = memoryStore([{ policy: { appId: APP, ...sections }, keys: [KEY] }])
  // The source allocates the slots of all its apps at once, and tests make thousands of sources.
  const policies = createPolicySource({ store, maxApps: 10 })
  const reached: string[] = []
  const app = express()
  app.use(...(guards(policies) as RequestHandler[]))
  app.use((req, res, next) => {
    reached.push(`${req.method} ${req.originalUrl}`)
    handler(req, res, next)
  })
  return { app, store, policies, reached }
}

/** Listens on a free port of the loopback address, calls a function, and closes. */
export async function listening<T>(
  listener: RequestListener,
  run: (origin: string, server: Server) => Promise<T>,
): Promise<T> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}
