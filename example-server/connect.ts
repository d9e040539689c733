import { signedFetch } from 'portcullis/client'

/**
 * Plays the server of the demo app: asks the gateway for a sign-in, with a signature.
 * Usage: DEMO_SECRET=… node --import tsx example-server/connect.ts http://127.0.0.1:3000
 */
const [gateway = 'http://127.0.0.1:3000'] = process.argv.slice(2)
const secret = process.env['DEMO_SECRET']
if (secret === undefined || !URL.canParse(gateway)) {
  console.error('Usage: DEMO_SECRET=… node --import tsx example-server/connect.ts http://127.0.0.1:3000')
  process.exit(2)
}

const send = signedFetch({
  keyId: 'demo-server-1',
  secret,
  appId: 'demo-server',
  origin: 'https://shop.example',
})
const response = await send(`${gateway}/auth/v2/connect`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    request_id: crypto.randomUUID(),
    scope: 'firstname! email',
    return_url: 'https://shop.example/callback/?cart=42',
  }),
})
console.log(response.status, await response.json())
process.exitCode = response.ok ? 0 : 1
