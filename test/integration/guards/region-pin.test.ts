import { describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { ConfigError, regionPin, type PolicySource, type RegionPinOptions } from 'portcullis'
import { APP, listening, protectedApp } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'

const pinned = (section: object, options: Partial<RegionPinOptions>) =>
  protectedApp(
    { regionPin: { mode: 'enforce', ...section } },
    (policies: PolicySource) => [
      regionPin({ policies, here: 'london', country: (req) => req.headers['test-country'], ...options }),
    ],
    (req, res) => void res.json(req.portcullis.region ?? {}),
  )

const EUROPE = { here: 'london', jurisdiction: 'europe', locations: ['london', 'frankfurt'] }

describe('regionPin', () => {
  const judged: [string, string, string, number][] = [
    ['a German', 'london', 'DE', 200],
    ['a German', 'frankfurt', 'DE', 200],
    ['a German', 'dallas', 'DE', 421],
    ['a Briton', 'frankfurt', 'GB', 200],
    ['a Swiss', 'dallas', 'CH', 421],
    ['an American', 'dallas', 'US', 200],
    ['an American', 'london', 'US', 421],
    ['an American', 'frankfurt', 'us', 421],
    ['nobody known', 'london', '', 403],
    ['a code that no country has', 'dallas', 'ZZ', 403],
    ['a name in place of a code', 'dallas', 'Germany', 403],
  ]
  for (const [who, here, country, status] of judged) {
    it(`answers ${status} for ${who} in ${here}`, async () => {
      const { app, reached } = pinned({}, { here })
      const response = await request(app).get('/').set({ 'x-app-id': APP, 'test-country': country })
      expect(response.status).toBe(status)
      if (status !== 200) {
        expect(response.body.code).toBe(status === 421 ? 'REGION_MISDIRECTED' : 'REGION_UNKNOWN')
        expect(reached).toEqual([])
      }
    })
  }

  it('tells the handler its location and where the data must stay', async () => {
    const { app } = pinned({}, {})
    const response = await request(app).get('/').set({ 'x-app-id': APP, 'test-country': 'FR' })
    expect(response.body).toEqual(EUROPE)
  })

  it('uses the most protective of several citizenships', async () => {
    const { app } = pinned({}, { country: () => ['US', 'IT'] })
    await request(app).get('/').set('x-app-id', APP).expect(200, EUROPE)
  })

  it('prefers a known country to the fallback of the policy', async () => {
    const { app } = pinned({ fallback: 'world' }, {})
    await request(app).get('/').set({ 'x-app-id': APP, 'test-country': 'FR' }).expect(200, EUROPE)
    await request(app).get('/').set({ 'x-app-id': APP, 'test-country': 'US' }).expect(421)
    await request(app).get('/').set({ 'x-app-id': APP, 'test-country': '' }).expect(421)
  })

  it('uses the fallback of the policy for people without a country', async () => {
    const { app } = pinned({ fallback: 'europe' }, { country: () => undefined })
    await request(app).get('/').set('x-app-id', APP).expect(200, EUROPE)
    const wrong = pinned({ fallback: 'atlantis' }, { country: () => undefined })
    await request(wrong.app).get('/').set('x-app-id', APP).expect(403)
  })

  it('refuses with OPTION_FAILED when the country option throws', async () => {
    const { app } = pinned(
      {},
      {
        country: () => {
          throw new Error('x')
        },
      },
    )
    await request(app).get('/').set('x-app-id', APP).expect(503)
  })

  describe('the identifier', () => {
    const byId = (here: string, options: Partial<RegionPinOptions> = {}) =>
      pinned({}, { here, country: undefined, personId: (req) => req.headers['test-id'], ...options })

    it.each([
      ['europe_1', 'london', 200],
      ['europe_1', 'frankfurt', 200],
      ['europe_1', 'dallas', 421],
      ['world_1', 'dallas', 200],
      ['world_1', 'london', 421],
      ['asia_1', 'dallas', 403],
      ['', 'dallas', 403],
    ])('%s in %s is answered with %i', async (id, here, status) => {
      const { app } = byId(here)
      await request(app).get('/').set({ 'x-app-id': APP, 'test-id': id }).expect(status)
    })

    it('makes the country unnecessary, which may need a database', async () => {
      let asked = 0
      const country = async () => {
        asked += 1
        return 'US'
      }
      const { app } = byId('london', { country })
      await request(app).get('/').set({ 'x-app-id': APP, 'test-id': 'europe_1' }).expect(200, EUROPE)
      expect(asked).toBe(0)
      await request(app).get('/').set({ 'x-app-id': APP, 'test-id': '4711' }).expect(421)
      expect(asked).toBe(1)
    })

    it('may be asynchronous, and refuses with OPTION_FAILED if it fails', async () => {
      const later = byId('dallas', { personId: async () => 'europe_1' })
      await request(later.app).get('/').set('x-app-id', APP).expect(421)
      const failing = byId('dallas', { personId: () => Promise.reject(new Error('x')) })
      await request(failing.app).get('/').set('x-app-id', APP).expect(503)
    })

    it('never depends on the address of the caller', async () => {
      const { app } = pinned({}, { country: () => undefined })
      await request(app)
        .get('/')
        .set({ 'x-app-id': APP, 'x-forwarded-for': '91.198.174.192', 'cf-ipcountry': 'DE' })
        .expect(403)
    })
  })

  it("gives handlers only the records of the person's jurisdiction", async () => {
    const store = { in: (jurisdiction: string) => ({ jurisdiction }) as never }
    const { app } = protectedApp(
      { regionPin: { mode: 'enforce' } },
      (policies: PolicySource) => [regionPin({ policies, here: 'london', store, country: () => 'DE' })],
      (req, res) => void res.json(req.portcullis.region?.store),
    )
    await request(app).get('/').set('x-app-id', APP).expect(200, { jurisdiction: 'europe' })
  })

  describe('the hint', () => {
    it('names the base of a right location in the problem document', async () => {
      const { app } = pinned({}, { here: 'dallas', bases: { frankfurt: 'https://fra.example.org' } })
      const response = await request(app).get('/').set({ 'x-app-id': APP, 'test-country': 'DE' }).expect(421)
      expect(response.body).toMatchObject({ code: 'REGION_MISDIRECTED', base: 'https://fra.example.org' })
      expect(response.headers['cache-control']).toBe('no-store')
    })

    it('is omitted if no base is configured, or if no other location could serve the request', async () => {
      const none = pinned({}, { here: 'dallas' })
      const response = await request(none.app).get('/').set({ 'x-app-id': APP, 'test-country': 'DE' })
      expect(response.body).not.toHaveProperty('base')
      const unknown = pinned({}, { here: 'dallas', bases: { frankfurt: 'https://fra.example.org' } })
      const refused = await request(unknown.app).get('/').set('x-app-id', APP).expect(403)
      expect(refused.body).not.toHaveProperty('base')
    })
  })

  describe('redirect', () => {
    const kinds: [what: string, headers: Record<string, string>, status: number][] = [
      ['the navigation of a browser', { 'sec-fetch-mode': 'navigate', accept: 'text/html,*/*;q=0.8' }, 307],
      ['a page that another client asks for', { accept: 'text/html' }, 307],
      ['a request that does not say what it wants', {}, 307],
      ['a fetch() of a page', { 'sec-fetch-mode': 'cors', accept: '*/*' }, 421],
      ['an image of a page', { 'sec-fetch-mode': 'no-cors', accept: 'image/*' }, 421],
      ['a client of an API', { accept: 'application/json' }, 421],
    ]
    for (const [what, headers, status] of kinds) {
      it(`answers ${what} with ${status}`, async () => {
        const { app } = pinned(
          { onMisdirected: 'redirect' },
          { here: 'dallas', bases: { london: 'https://lon.example.org' } },
        )
        const response = await request(app)
          .get('/me')
          .set({ 'x-app-id': APP, 'test-country': 'DE', ...headers })
        expect(response.status).toBe(status)
        if (status === 421) {
          expect(response.headers).not.toHaveProperty('location')
          expect(response.body.base).toBe('https://lon.example.org')
        }
      })
    }

    const options = { here: 'dallas', bases: { frankfurt: 'https://fra.example.org' } }

    it('sends a misdirected request once to the configured base, with method and query', async () => {
      const { app, reached } = pinned({ onMisdirected: 'redirect' }, options)
      const response = await request(app).post('/me?x=1').set({ 'x-app-id': APP, 'test-country': 'DE' })
      expect(response.status).toBe(307)
      expect(response.headers['location']).toBe('https://fra.example.org/me?x=1&portcullis-hop=1')
      expect(response.headers['cache-control']).toBe('no-store')
      expect(reached).toEqual([])
    })

    it('answers 421 the second time', async () => {
      const { app } = pinned({ onMisdirected: 'redirect' }, options)
      await request(app)
        .get('/me?portcullis-hop=1')
        .set({ 'x-app-id': APP, 'test-country': 'DE' })
        .expect(421)
      await request(app)
        .get('/me?portcullis%2Dhop=1')
        .set({ 'x-app-id': APP, 'test-country': 'DE' })
        .expect(421)
    })

    it('answers 421 if no base is configured', async () => {
      const { app } = pinned({ onMisdirected: 'redirect' }, { here: 'london', bases: {} })
      await request(app).get('/').set({ 'x-app-id': APP, 'test-country': 'US' }).expect(421)
    })

    it('never leaves the configured base, whatever the target', async () => {
      const { app } = pinned({ onMisdirected: 'redirect' }, options)
      const response = await request(app)
        .get('//evil.example/%2e%2e')
        .set({ 'x-app-id': APP, 'test-country': 'DE' })
      expect(new URL(response.headers['location'] ?? '').origin).toBe('https://fra.example.org')
    })
  })

  describe('redirects of targets that are not paths', () => {
    // fetch cannot send these: https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    const targets: [what: string, method: string, target: string][] = [
      ['the absolute form', 'GET', 'http://gateway.example/me?x=1'],
      ['the absolute form of another scheme', 'GET', 'ftp://gateway.example/me'],
      ['the absolute form without a path', 'GET', 'http://gateway.example'],
      ['an absolute form with a foreign host', 'GET', 'https://evil.example/'],
      ['a path with a fragment, behind which the mark of the hop would be lost', 'GET', '/me#x'],
      ['an asterisk', 'OPTIONS', '*'],
    ]
    for (const [what, method, target] of targets) {
      it(`answers 421 without Location: ${what}`, async () => {
        const { app, reached } = pinned(
          { onMisdirected: 'redirect' },
          { here: 'dallas', bases: { frankfurt: 'https://fra.example.org' }, country: () => 'DE' },
        )
        await listening(app, async (origin) => {
          const head = `Host: gateway.example\r\nx-app-id: ${APP}\r\nConnection: close\r\n`
          const port = Number(new URL(origin).port)
          const answer = await exchange(port, `${method} ${target} HTTP/1.1\r\n${head}\r\n`)
          expect(answer).toMatch(/^HTTP\/1\.1 421 /)
          expect(answer).not.toMatch(/^location:/im)
          expect(answer).toContain('REGION_MISDIRECTED')
        })
        expect(reached).toEqual([])
      })
    }
  })

  it('hands over with the headers of the platform', async () => {
    const handOver = (location: string) => ({ 'fly-replay': `region=${location}` })
    const { app } = pinned({ onMisdirected: 'handOver' }, { here: 'dallas', handOver })
    const response = await request(app).get('/').set({ 'x-app-id': APP, 'test-country': 'DE' })
    expect([response.status, response.headers['fly-replay']]).toEqual([421, 'region=london'])
  })

  describe('a location with an end date', () => {
    const DAY = 24 * 60 * 60 * 1_000
    const warned = async (now: number): Promise<string[]> => {
      // A process warns once, so each case resets this memory.
      const told = (globalThis as Record<symbol, unknown>)[
        Symbol.for('portcullis.setupWarnings')
      ] as Set<string>
      for (const code of ['PORTCULLIS_ADEQUACY_ENDS', 'PORTCULLIS_ADEQUACY_ENDED']) told.delete(code)
      pinned({}, { now: () => now })
      return [...told].filter((code) => code.startsWith('PORTCULLIS_ADEQUACY'))
    }

    it('is announced 180 days before, and from then on', async () => {
      const end = Date.UTC(2031, 11, 28)
      expect(await warned(end - 181 * DAY)).toEqual([])
      expect(await warned(end - 179 * DAY)).toEqual(['PORTCULLIS_ADEQUACY_ENDS'])
      expect(await warned(end)).toEqual(['PORTCULLIS_ADEQUACY_ENDED'])
    })

    it('is announced by a process that started long before', async () => {
      let now = Date.UTC(2031, 0, 1)
      const told = (globalThis as Record<symbol, unknown>)[
        Symbol.for('portcullis.setupWarnings')
      ] as Set<string>
      told.delete('PORTCULLIS_ADEQUACY_ENDS')
      const { app } = pinned({}, { now: () => now })
      expect(told).not.toContain('PORTCULLIS_ADEQUACY_ENDS')
      now = Date.UTC(2031, 11, 1)
      // The clock is not read for each request.
      for (let count = 0; count < 100; count += 1)
        await request(app).get('/').set({ 'x-app-id': APP, 'test-country': 'FR' }).expect(200)
      expect(told).toContain('PORTCULLIS_ADEQUACY_ENDS')
    })
  })

  const wrong: [object, RegExp][] = [
    [
      { here: 'paris' },
      /`regionPin.here` must be a location of the jurisdictions: `london`, `frankfurt`, `dallas`, got "paris"/,
    ],
    [{ here: undefined }, /`regionPin.here` is missing: give the name of a location/],
    [{ country: undefined }, /`regionPin.country` is missing: give a function/],
    [{ personId: 'europe_1' }, /`regionPin.personId` must be a function/],
    [{ store: 'redis' }, /`regionPin.store` must be a `regionalStore`/],
    [{ country: 'DE' }, /`regionPin.country` must be a function, or a place in the body .*, got "DE"/],
    [{ bases: { paris: 'https://x.example' } }, /`regionPin.bases.paris`/],
    [
      { bases: { frankfurt: 'https://x.example/path' } },
      /`regionPin.bases.frankfurt` must be an https origin/,
    ],
    [{ bases: { frankfurt: 'http://x.example' } }, /`regionPin.bases.frankfurt` must be an https origin/],
    [{ jurisdictions: { europe: { locations: ['london'], countries: ['XX'] } } }, /XX/],
  ]
  for (const [options, message] of wrong) {
    it(`refuses ${String(message)} at construction`, () => {
      const build = () => pinned({}, options)
      expect(build).toThrow(ConfigError)
      expect(build).toThrow(message)
    })
  }
})
