import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { launchChromium } from '../support/chromium.ts'
import { clientModules, SIGN_ALL } from '../support/client-modules.ts'
import { parseAppKeys } from '../../src/signature/keys.ts'
import { verifyMessage } from '../../src/signature/verify.ts'
import { RULES, SECRET } from '../unit/signature/message.ts'
import { ED25519, verifyingListener, type Received } from '../unit/client/verifying-server.ts'

const IN_A_WORKER = `
import * as client from '/client/index.ts'
${SIGN_ALL}
onmessage = async ({ data }) => {
  try { postMessage(await signAll(client, data)) } catch (error) { postMessage([String(error)]) }
}`

let browser: Browser
let server: Server
let page: Page
let origin: string
const received: Received[] = []

// Serves the page and its modules, and verifies all other requests.
beforeAll(async () => {
  const modules = clientModules('es6')
  const verifying = verifyingListener(received)
  server = createServer((req, res) => {
    const path = req.url?.slice(1) ?? ''
    if (path === '')
      res.writeHead(200, { 'content-type': 'text/html' }).end('<link rel="icon" href="data:,">')
    else if (path === 'worker.js') res.writeHead(200, { 'content-type': 'text/javascript' }).end(IN_A_WORKER)
    else if (modules.has(path))
      res.writeHead(200, { 'content-type': 'text/javascript' }).end(modules.get(path))
    else verifying(req, res)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  browser = await launchChromium()
  page = await browser.newPage()
  await page.goto(`${origin}/`)
})

afterAll(async () => {
  await browser.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

beforeEach(() => {
  received.length = 0
})

const facts = (): object => ({ origin, secret: SECRET, privateKey: ED25519.pem })

function expectAllVerified(answers: unknown): void {
  expect(answers).toEqual(['answer', 'answer', 'answer', 'answer', 'string'])
  expect(received.map(({ result, req }) => [result.ok, req.method])).toEqual([
    [true, 'POST'],
    [true, 'GET'],
    [true, 'POST'],
    [true, 'GET'],
  ])
}

describe('portcullis/client in Chromium', () => {
  it('signs with WebCrypto, using a secret or an Ed25519 key, and the verifier accepts it', async () => {
    const code = `import('/client/index.ts').then((client) => { ${SIGN_ALL}
      return signAll(client, ${JSON.stringify(facts())}) })`
    expectAllVerified(await page.evaluate(code))
  })

  it('signs in a web worker', async () => {
    const code = `new Promise((resolve, reject) => {
      const worker = new Worker('/worker.js', { type: 'module' })
      worker.onmessage = ({ data }) => resolve(data)
      worker.onerror = ({ message }) => reject(new Error(message))
      worker.postMessage(${JSON.stringify(facts())})
    })`
    expectAllVerified(await page.evaluate(code))
  })

  it('signs with a key that is created in the browser and never leaves it', async () => {
    const code = `import('/client/index.ts').then(async ({ signRequest }) => {
      const { privateKey, publicKey } = await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])
      const raw = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey))
      const headers = await signRequest({ method: 'GET', url: '${origin}/' }, { keyId: 'key-3', privateKey })
      return { headers, secret: btoa(String.fromCharCode(...raw)) }
    })`
    const { headers, secret } = (await page.evaluate(code)) as {
      headers: Record<string, string>
      secret: string
    }
    const verify = (method: string) =>
      verifyMessage(
        {
          method,
          authority: new URL(origin).host,
          target: '/',
          header: (name) => [headers[name] ?? []].flat(),
          body: { kind: 'none' },
        },
        parseAppKeys([{ id: 'key-3', algorithm: 'ed25519', secret }]),
        RULES,
        Date.now(),
      )
    expect(verify('GET')).toMatchObject({ ok: true, keyId: 'key-3' })
    expect(verify('POST')).toMatchObject({ ok: false, code: 'SIGNATURE_INVALID' })
  })
})
