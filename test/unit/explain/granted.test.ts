import { expect, it } from '@jest/globals'
import express from 'express'
import request from 'supertest'
import { comparePolicies, createPolicySource, domainProtect, memoryStore, type PolicyInput } from 'portcullis'

/* Only the headers of a response show what CORS grants, so this checks a real response. */

const ORIGIN = 'https://a.example.org'

function serving(policy: PolicyInput) {
  const app = express()
  const policies = createPolicySource({ store: memoryStore([{ policy }]) })
  app.use(domainProtect({ policies, appId: () => 'a' }))
  app.use((_req, res) => void res.send('served'))
  return app
}

const policyOf = (more: object): PolicyInput => ({
  appId: 'a',
  domainProtect: { mode: 'enforce', domains: [ORIGIN], ...more },
})

it.each<[member: string, less: object, more: object, header: string, had: RegExp | undefined, has: RegExp]>([
  ['credentials', {}, { credentials: true }, 'access-control-allow-credentials', undefined, /^true$/],
  ['exposedHeaders', {}, { exposedHeaders: ['x-a'] }, 'access-control-expose-headers', undefined, /^x-a$/],
  ['headers', { headers: ['x-a'] }, {}, 'access-control-allow-headers', /^x-a$/, /^x-0$/],
  ['headers', { headers: [] }, { headers: ['x-b'] }, 'access-control-allow-headers', undefined, /^x-b$/],
  [
    'methods',
    {},
    { methods: ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE', 'PROPFIND'] },
    'access-control-allow-methods',
    /DELETE$/,
    /PROPFIND$/,
  ],
  ['maxAge', { maxAge: 5 }, { maxAge: 600 }, 'access-control-max-age', /^5$/, /^600$/],
])(
  'the response to a witness of `%s` grants what the sentence says',
  async (member, less, more, header, had, has) => {
    const { gained } = comparePolicies(policyOf(less), policyOf(more)).protections.domainProtect
    expect([gained?.path, gained?.grant === undefined]).toEqual([`domainProtect.${member}`, false])
    const { method = 'GET', url, headers = {} } = gained!.request
    const answered = async (policy: PolicyInput): Promise<string | undefined> => {
      const { pathname } = new URL(url)
      const asked =
        method === 'OPTIONS'
          ? request(serving(policy)).options(pathname)
          : request(serving(policy)).get(pathname)
      const response = await asked.set(headers)
      expect(response.status).toBeLessThan(300)
      return response.headers[header]
    }
    const [before, after] = [await answered(policyOf(less)), await answered(policyOf(more))]
    if (had === undefined) expect(before ?? '').toBe('')
    else expect(before).toMatch(had)
    expect(after).toMatch(has)
  },
)
