import { on, once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { signedFetch } from 'portcullis/client'
import { STYLE } from './assets.ts'

/**
 * Plays the part of the demo app's server, from connect to me: asks the gateway for a sign-in, waits until the person
 * returns, exchanges the code for a token, and reads the shared data.
 * Usage: DEMO_SECRET=… node --import tsx example-server/connect.ts http://127.0.0.1:3000
 */
const [gateway = 'http://127.0.0.1:3000'] = process.argv.slice(2)
const secret = process.env['DEMO_SECRET']
if (secret === undefined || !URL.canParse(gateway)) {
  console.error('Usage: DEMO_SECRET=… node --import tsx example-server/connect.ts http://127.0.0.1:3000')
  process.exit(2)
}

function stop(message: string): never {
  console.error(message)
  process.exit(1)
}

/** A `fetch` that signs each request with the key of the demo app. */
function signing(key: string): ReturnType<typeof signedFetch> {
  try {
    const app = { appId: 'demo-server', origin: 'https://shop.example' }
    return signedFetch({ keyId: 'demo-server-1', secret: key, ...app })
  } catch (error) {
    return stop(`DEMO_SECRET is not the secret printed by \`npm start\`: ${(error as Error).message}`)
  }
}

const send = signing(secret)
const json = (body: object): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})
async function ask(url: string, init: RequestInit): Promise<Record<string, string>> {
  const response = await send(url, init).catch(({ message, cause }: Error) => {
    const { code } = (cause ?? {}) as { code?: string }
    return stop(
      code === undefined ? message : `${new URL(url).origin} does not answer (${code}): is it running?`,
    )
  })
  const answer = (await response.json()) as Record<string, string>
  console.log(response.status, answer)
  if (!response.ok) process.exit(1)
  return answer
}

const server = createServer()
await once(server.listen(0, '127.0.0.1'), 'listening')
const own = `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback/`
const request_id = crypto.randomUUID()

console.log('\nconnect:')
const { gateway: link } = await ask(
  `${gateway}/auth/v2/connect`,
  json({ request_id, scope: 'firstname! email', return_url: own }),
)
console.log(`\nOpen this link and sign in:\n  ${link}\nWaiting for the sign-in. Press Ctrl+C to stop.`)
setTimeout(() => {
  console.log('The link has expired after ten minutes. Run the command again.')
  process.exit(1)
}, 10 * 60_000).unref()

/** A page of the demo app. */
const page = (title: string, text: string): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>${title} – Demo server app</title>
<link rel="icon" href="data:," />
<style>${STYLE}</style>
<body class="shop">
<header><span class="brand">Demo server app</span></header>
<main><h1>${title}</h1><p>${text}</p><p><a href="${new URL('/account', gateway).href}">See at the gateway what this app may read</a></p></main>
</body>
</html>
`

/**
 * Waits for the person to return with an answer to this request, and resolves with the parameters of the return URL.
 */
async function comeBack(): Promise<Map<string, string>> {
  for await (const [req, res] of on(server, 'request') as AsyncIterable<[IncomingMessage, ServerResponse]>) {
    const query = new URL(req.url ?? '/', own).searchParams
    const answer = new Map([...query].map(([name, value]) => [name.replace(/^_ukey1\[(.*)\]$/, '$1'), value]))
    const isOurs = answer.get('request_id') === request_id
    const isAuthorized = answer.get('result') === 'authorized'
    res.setHeader('content-type', 'text/html; charset=utf-8')
    res.statusCode = isOurs ? 200 : 400
    res.end(
      !isOurs
        ? page('Not our sign-in', 'This answer does not belong to the request of this app.')
        : isAuthorized
          ? page('You are signed in', 'The terminal shows the data that you shared. You can close this page.')
          : page('You cancelled the sign-in', 'Nothing was shared. You can close this page.'),
    )
    if (isOurs) return answer
  }
  throw new Error('the server has closed')
}

const answer = await comeBack()
server.close()
server.closeAllConnections()
if (answer.get('result') !== 'authorized') {
  console.log('\nYou cancelled the sign-in. Nothing was shared.')
  process.exit(0)
}
console.log('\ntoken:')
const { access_token, me } = await ask(
  `${gateway}/auth/v2/token`,
  json({ request_id, connect_id: answer.get('connect_id'), auth_code: answer.get('code') }),
)
console.log('\nme, read at the location that stores the data of this person:')
await ask(me ?? '', { headers: { authorization: `Bearer ${access_token}` } })
