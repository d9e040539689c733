/**
 * A server whose guard meets the same mistake in many requests, to test the printed warning. Its argument is the folder
 * of Express.
 */
import type { AddressInfo } from 'node:net'
import type express from 'express'
import { createPolicySource, ipWhitelist, memoryStore } from 'portcullis'

const { default: createApp } = (await import(process.argv[2] as string)) as { default: typeof express }
const store = memoryStore([
  { policy: { appId: 'app-1', ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.1'] } } },
])
const policies = createPolicySource({ store })
const guards = [ipWhitelist({ policies }), ipWhitelist({ policies })] as express.RequestHandler[]
const server = createApp()
  .use(...guards, (_req, res) => void res.end())
  .listen(0, '127.0.0.1', () => {
    void callMany().finally(() => server.close())
  })

async function callMany(): Promise<void> {
  const { port } = server.address() as AddressInfo
  const headers = { 'x-app-id': 'app-1', 'x-forwarded-for': '203.0.113.77' }
  for (let count = 0; count < 20; count += 1) {
    const { status } = await fetch(`http://127.0.0.1:${port}/`, { headers })
    if (status !== 200) throw new Error(`answered ${status}`)
  }
}
