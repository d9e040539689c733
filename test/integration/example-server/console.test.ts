import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Access } from '../../../example-server/access-log.ts'
import { deriveSecrets } from '../../../example-server/secrets.ts'
import { judgedSealer } from '../../../src/audit/judged-facts.ts'
import type { AccessReportView } from '../../../src/console/contract.ts'
import { openKept } from '../../../src/explain/recorded-facts.ts'
import {
  killExampleProcess,
  startExampleProcess,
  type ExampleProcess,
} from '../../support/example-process.ts'
import {
  CONNECT,
  json,
  SHOP_POLICY,
  shopServer,
  signUp,
  startExampleServer,
} from '../../support/example-server.ts'

describe('the console of the example server', () => {
  let server: ExampleProcess
  beforeAll(async () => {
    server = await startExampleProcess()
  })
  afterAll(() => killExampleProcess(server))

  it('exists, and shows the demo apps after sign-in with the printed token', async () => {
    const [, url = '', token = ''] =
      /Console .*: (http\S+) {2}\(token ([\w-]{43})\)/.exec(server.said.stdout) ?? []
    const page = await fetch(url)
    expect(page.headers.get('content-security-policy')).toContain("trusted-types 'none'")
    const signedIn = await fetch(new URL('api/session', url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    })
    expect(signedIn.status).toBe(201)
    // All people share one storage, so the console has no regions.
    expect(await signedIn.json()).toMatchObject({ offers: { regions: false } })
    const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? ''
    const apps = await fetch(new URL('api/apps', url), { headers: { cookie } })
    expect(await apps.json()).toMatchObject({ apps: [{ appId: 'demo-browser' }, { appId: 'demo-server' }] })
  })
})

it('does not exist without a token', async () => {
  const server = await startExampleServer()
  expect((await fetch(`${server.url}/console/`)).status).toBe(404)
  await server.close()
})

it('a refused request is judged again there, and what it lacks is named', async () => {
  const token = 'token-of-the-console-in-this-test-0123456789'
  const server = await startExampleServer({ consoleToken: token })
  await server.change(SHOP_POLICY, { ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.1'] } })
  await fetch(`${server.url}/account`)
  const refused = await shopServer().send(`${server.url}/auth/v2/me`)
  expect(refused.status).toBe(403)
  const { requestId } = (await refused.json()) as { requestId: string }
  // At rest the address cannot be read.
  expect(JSON.stringify(server.sink.events())).not.toContain('127.0.0.1')

  const sealer = judgedSealer(deriveSecrets(new Uint8Array(32)).judgements)
  const opened = server.sink
    .events()
    .map((event) => (event.kind === 'operation' ? JSON.stringify(openKept(event, sealer)) : ''))
    .join('\n')
  expect(opened).toContain('127.0.0.1')
  expect(opened).not.toContain('country')

  const signedIn = await fetch(`${server.url}/console/api/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  })
  const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? ''
  expect(await signedIn.json()).toMatchObject({ offers: { judgements: true } })
  const judged = await fetch(`${server.url}/console/api/requests/${requestId}/judgement`, {
    headers: { cookie },
  })
  expect(await judged.json()).toMatchObject({
    appId: 'shop',
    kept: 'kept',
    missing: [{ entry: '127.0.0.1' }],
  })
  await server.close()
})

it('has access reports that list what the person sees in the account, for an email address or an ID', async () => {
  const token = 'token-of-the-console-in-this-test-0123456789'
  const server = await startExampleServer({ consoleToken: token })
  const connected = await shopServer().send(`${server.url}/auth/v2/connect`, json(CONNECT))
  const { gateway } = (await connected.json()) as { gateway: string }
  const email = 'bob@example.org'
  const profile = { email, password: 'another long password', firstname: 'Bob', surname: 'Babbage' }
  const bob = await signUp(server, gateway, { ...profile, country: 'GB', language: 'en' })
  await bob.open(`${server.url}/account`)
  const log = await fetch(`${server.url}/account/access-log`, {
    headers: { cookie: `__Host-session=${bob.cookie}`, accept: 'application/json' },
  })
  const seen = (await log.json()) as Access[]
  expect(seen).toHaveLength(2)

  const report = async (person: string) => {
    const answer = await fetch(`${server.url}/console/api/access-report`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ person, note: 'asked by the person' }),
    })
    return (await answer.json()) as AccessReportView
  }
  const { accesses, isComplete, recipients } = await report(email)
  expect(isComplete).toBe(true)
  // Showing people their own data gives it to no app.
  expect(recipients).toEqual([])
  expect(accesses.map(({ requestId, fields }) => [requestId, Object.keys(fields)])).toEqual(
    seen.map(({ requestId, fields }) => [requestId, fields]),
  )
  expect((await report('nobody@people.example')).accesses).toEqual([])
  await server.close()
})
