import { describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { bodyParsers, returnUrlGuard, type PolicySource, type PolicyInput } from 'portcullis'
import { APP, protectedApp } from '../../support/protected-app.ts'

const SECTIONS = {
  returnUrlGuard: {
    mode: 'enforce',
    urls: ['https://example.org/callback/', { exact: 'https://example.org/done' }],
  },
} satisfies Partial<PolicyInput>
const guards = (policies: PolicySource) => [
  ...bodyParsers(),
  returnUrlGuard({ policies, returnUrl: (req) => req.body?.return_url }),
]
const redirecting = (sections: Partial<PolicyInput>) =>
  protectedApp(sections, guards, (req, res) => void res.redirect(303, req.portcullis.returnUrl ?? '/none'))

describe('returnUrlGuard', () => {
  const admitted: [string, string][] = [
    ['https://example.org/callback/', 'https://example.org/callback/'],
    [
      'https://example.org/callback/abcdefgh/?tracking=123456',
      'https://example.org/callback/abcdefgh/?tracking=123456',
    ],
    ['HTTPS://EXAMPLE.ORG:443/callback/%c3%a9', 'https://example.org/callback/%C3%A9'],
    ['https://example.org/done', 'https://example.org/done'],
  ]
  for (const [url, location] of admitted) {
    it(`admits ${url} and passes on its canonical form`, async () => {
      const { app } = redirecting(SECTIONS)
      const response = await request(app).post('/').set('x-app-id', APP).send({ return_url: url })
      expect([response.status, response.headers['location']]).toEqual([303, location])
    })
  }

  const refused: [string, unknown, string][] = [
    ['a sibling', 'https://example.org/invalid', 'RETURN_URL_NOT_ALLOWED'],
    ['a climb', 'https://example.org/callback/../admin', 'RETURN_URL_NOT_ALLOWED'],
    ['user information', 'https://example.org@evil.example/callback/', 'RETURN_URL_NOT_ALLOWED'],
    ['below an exact entry', 'https://example.org/done/x', 'RETURN_URL_NOT_ALLOWED'],
    ['a query on an exact entry', 'https://example.org/done?x', 'RETURN_URL_NOT_ALLOWED'],
    ['an array', ['https://example.org/callback/'], 'RETURN_URL_NOT_ALLOWED'],
    ['an object', { href: 'https://example.org/callback/' }, 'RETURN_URL_NOT_ALLOWED'],
    ['a number', 5, 'RETURN_URL_NOT_ALLOWED'],
    ['null', null, 'RETURN_URL_NOT_ALLOWED'],
    ['an empty text', '', 'RETURN_URL_REQUIRED'],
    ['nothing', undefined, 'RETURN_URL_REQUIRED'],
  ]
  for (const [what, url, code] of refused) {
    it(`refuses ${what}, and neither follows nor echoes it`, async () => {
      const { app, reached } = redirecting(SECTIONS)
      const response = await request(app).post('/').set('x-app-id', APP).send({ return_url: url })
      expect(response.status).toBe(400)
      expect(response.body.code).toBe(code)
      expect(response.headers['location']).toBeUndefined()
      expect(response.text).not.toContain('example.org')
      expect(reached).toEqual([])
    })
  }

  it('refuses a form that repeats the parameter', async () => {
    const { app } = redirecting(SECTIONS)
    const good = encodeURIComponent('https://example.org/callback/')
    const response = await request(app)
      .post('/')
      .set('x-app-id', APP)
      .type('form')
      .send(`return_url=${good}&return_url=${good}`)
    expect(response.body.code).toBe('RETURN_URL_NOT_ALLOWED')
  })

  it('refuses with OPTION_FAILED when the returnUrl option throws', async () => {
    const { app } = protectedApp(SECTIONS, (policies) => [
      returnUrlGuard({ policies, returnUrl: () => decodeURIComponent('%') }),
    ])
    const response = await request(app).get('/').set('x-app-id', APP)
    expect(response.body.code).toBe('OPTION_FAILED')
  })

  for (const mode of ['report', 'off'] as const) {
    it(`passes on the canonical form of any well-formed URL in mode ${mode}`, async () => {
      const { app } = redirecting({ returnUrlGuard: { ...SECTIONS.returnUrlGuard, mode } })
      const send = (url: string) => request(app).post('/').set('x-app-id', APP).send({ return_url: url })
      expect((await send('https://other.example/x')).headers['location']).toBe('https://other.example/x')
      expect((await send('javascript:alert(1)')).headers['location']).toBe('/none')
    })
  }
})
