// Behind a proxy on the same machine. The proxy sets X-Forwarded-For, and callers reach the service as https://gateway.example.
//
//   curl -i http://127.0.0.1:3000/auth/me -H 'x-app-id: example-shop' -H 'x-forwarded-for: 203.0.113.7'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { createPolicySource, domainProtect, ipWhitelist, memoryStore, type PolicyInput } from 'portcullis'

const policy: PolicyInput = {
  appId: 'example-shop',
  ipWhitelist: { mode: 'enforce', ranges: ['203.0.113.0/24'] },
  domainProtect: { mode: 'enforce', domains: ['https://gateway.example', 'https://example.org'] },
}
const policies = createPolicySource({ store: memoryStore([{ policy }]) })

const app = express()
app.use(
  '/auth',
  ipWhitelist({ policies, clientAddress: { trustedProxies: ['loopback'], header: 'x-forwarded-for' } }),
  domainProtect({ policies, authority: 'https://gateway.example' }),
)
app.get('/auth/me', (req, res) => {
  res.json({ app: req.portcullis.appId, address: req.portcullis.address })
})

const server = app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
