import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  killExampleProcess,
  startExampleProcess,
  type ExampleProcess,
} from '../../support/example-process.ts'
import { startExampleServer } from '../../support/example-server.ts'

describe('the console of the example server', () => {
  let server: ExampleProcess
  beforeAll(async () => {
    server = await startExampleProcess()
  })
  afterAll(() => killExampleProcess(server))

  it('is there, and the token that was printed leads to the demo apps', async () => {
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
    // All people share one storage, so there is nothing to say of regions.
    expect(await signedIn.json()).toMatchObject({ offers: { regions: false } })
    const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? ''
    const apps = await fetch(new URL('api/apps', url), { headers: { cookie } })
    expect(await apps.json()).toMatchObject({ apps: [{ appId: 'demo-browser' }, { appId: 'demo-server' }] })
  })
})

it('there is no console where there is no token', async () => {
  const server = await startExampleServer()
  expect((await fetch(`${server.url}/console/`)).status).toBe(404)
  await server.close()
})
