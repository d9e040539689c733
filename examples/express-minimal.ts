// One guard in front of one route.
//
//   curl -i http://127.0.0.1:3000/auth/me -H 'x-app-id: example-shop'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { createPolicySource, ipWhitelist, memoryStore, type PolicyInput } from 'portcullis'

const policy: PolicyInput = {
  appId: 'example-shop',
  ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.1'] },
}
const policies = createPolicySource({ store: memoryStore([{ policy }]) })

const app = express()
app.use('/auth', ipWhitelist({ policies }))
app.get('/auth/me', (req, res) => {
  res.json({ app: req.portcullis.appId, address: req.portcullis.address })
})

const server = app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
