import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { ALL_RIGHTS, startConsole, type Client, type ConsoleServer } from '../../support/console.ts'

/** Every route with the rights that each allow it, or with `signed-in` or `anyone`. */
const ROUTES: Readonly<Record<string, string>> = {
  'GET /session': 'anyone',
  'POST /session': 'anyone',
  'GET /start': 'anyone',
  'DELETE /session': 'signed-in',
  'GET /openapi.json': 'look',
  'GET /apps': 'look',
  'POST /apps': 'widen',
  'GET /apps/{appId}': 'look',
  'DELETE /apps/{appId}': 'narrow',
  'PUT /apps/{appId}/policy': 'narrow widen break-glass',
  'PUT /apps/{appId}/draft': 'narrow widen break-glass',
  'DELETE /apps/{appId}/draft': 'narrow widen break-glass',
  'POST /apps/{appId}/draft/edits': 'narrow widen break-glass',
  'POST /apps/{appId}/draft/rebase': 'narrow widen break-glass',
  'GET /apps/{appId}/review': 'look',
  'POST /apps/{appId}/publication': 'narrow widen break-glass',
  'POST /apps/{appId}/rollback': 'narrow widen break-glass',
  'GET /apps/{appId}/history': 'look',
  'POST /apps/{appId}/entries': 'look',
  'POST /apps/{appId}/trial': 'look',
  'GET /apps/{appId}/traffic': 'look',
  'GET /apps/{appId}/requests': 'look-at-personal-data',
  'GET /apps/{appId}/tail': 'look-at-personal-data',
  'GET /requests/{requestId}': 'look-at-personal-data',
  'GET /requests/{requestId}/judgement': 'look-at-personal-data',
  'POST /access-report': 'look-at-personal-data',
  'GET /regions': 'look',
  'GET /apps/{appId}/key-uses': 'look',
  'GET /apps/{appId}/keys/{keyId}/callers': 'look-at-personal-data',
  'GET /lists': 'look',
  'GET /lists/{name}': 'look',
  'PUT /lists/{name}': 'widen',
  'GET /keys': 'look',
  'GET /apps/{appId}/keys': 'look',
  'POST /apps/{appId}/keys': 'keys',
  'POST /apps/{appId}/keys/{keyId}/rotation': 'keys',
  'POST /apps/{appId}/keys/{keyId}/revocation': 'keys',
  'POST /apps/{appId}/keys/{keyId}/restoration': 'keys',
  'DELETE /apps/{appId}/keys/{keyId}': 'keys',
}

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'] as const

const paths = [...new Set(Object.keys(ROUTES).map((route) => route.split(' ')[1] ?? ''))]
const filled = (path: string): string =>
  path
    .slice(1)
    .replace('{appId}', 'nowhere')
    .replace('{keyId}', 'key-1')
    .replace('{requestId}', 'r')
    .replace('{name}', 'list')

let server: ConsoleServer
const people = new Map<string, Client>()

beforeAll(async () => {
  server = await startConsole()
  for (const right of ALL_RIGHTS) people.set(right, await server.signIn(right))
})
afterAll(() => server.close())

describe('who may do what', () => {
  it('the table of this test and the OpenAPI document contain every route', async () => {
    const { body } = await people.get('look')!.ask('GET', 'openapi.json')
    const routes = Object.entries(
      body.paths as Record<string, Record<string, { 'x-rights'?: string[]; security: unknown[] }>>,
    )
    const found = routes.flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => [
        `${method.toUpperCase()} ${path}`,
        operation['x-rights']?.join(' ') ?? (operation.security.length === 0 ? 'anyone' : 'signed-in'),
      ]),
    )
    expect(Object.fromEntries(found)).toEqual(ROUTES)
  })

  for (const path of paths) {
    for (const method of METHODS) {
      const access = ROUTES[`${method} ${path}`]
      if (access === undefined) {
        it(`${method} ${path} is answered with 405`, async () => {
          const { status, body } = await server.ask(method, filled(path))
          expect([status, body.code]).toEqual([405, 'METHOD_NOT_ALLOWED'])
        })
        continue
      }
      if (access === 'anyone' || access === 'signed-in') continue
      it(`${method} ${path} answers only callers with ${access.replaceAll(' ', ' or ')}`, async () => {
        const stranger = await server.ask(method, filled(path))
        expect([stranger.status, stranger.body.code]).toEqual([401, 'SIGNED_OUT'])
        for (const [right, client] of people) {
          const { status, body } = await client.ask(method, filled(path), method === 'GET' ? undefined : {})
          const isAdmitted = access.split(' ').includes(right)
          if (isAdmitted)
            expect([right, [400, 404, 200, 409, 428].includes(status), status]).toEqual([right, true, status])
          else expect([right, status, body.code]).toEqual([right, 403, 'RIGHT_MISSING'])
        }
      })
      if (method === 'GET') continue
      it(`${method} ${path} is refused without the token of the session, and from another site`, async () => {
        for (const client of people.values()) {
          const forged: Record<string, string>[] = [
            { 'x-csrf-token': '' },
            { 'x-csrf-token': 'A'.repeat(43) },
            { 'sec-fetch-site': 'cross-site' },
            { 'sec-fetch-site': 'same-site' },
            { 'sec-fetch-site': 'none' },
            { origin: 'https://evil.example' },
            { origin: 'null' },
          ]
          for (const headers of forged) {
            const { status, body } = await client.ask(method, filled(path), {}, headers)
            expect([headers, status, body.code]).toEqual([headers, 403, 'FORGERY_SUSPECTED'])
          }
        }
      })
    }
  }

  it('GET /start tells a stranger nothing, and lists apps only for callers with the right to see them', async () => {
    expect((await server.ask('GET', 'start')).body).toEqual({ session: null })
    for (const [right, client] of people) {
      const { status, body } = await client.ask('GET', 'start')
      expect([right, status, body.session]).toEqual([right, 200, client.session])
      const apps = right === 'look' ? (await client.ask('GET', 'apps')).body : undefined
      expect([right, body.apps]).toEqual([right, apps])
    }
  })

  it('GET /start works even if the apps cannot be listed', async () => {
    const list = (): Promise<never> => Promise.reject(new Error('away'))
    const other = await startConsole({ store: { ...server.store, list } })
    const client = await other.signIn('look')
    expect((await client.ask('GET', 'start')).body).toEqual({ session: client.session })
    await other.close()
  })

  it('a refusal for lack of a right is recorded with the app and without a name', async () => {
    server.sink.clear()
    await people.get('look')!.ask('POST', 'apps/shop/keys', { id: 'x' })
    expect(server.sink.events()).toMatchObject([
      {
        kind: 'operation',
        operation: 'console POST /apps/:appId/keys',
        outcome: 'refused',
        status: 403,
        appId: 'shop',
      },
    ])
    expect(JSON.stringify(server.sink.events())).not.toContain('"look"')
  })
})
