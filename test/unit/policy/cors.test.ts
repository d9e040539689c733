import { describe, expect, it } from '@jest/globals'
import { parsePolicy, PolicyError } from 'portcullis'
import { DEFAULT_METHODS, unionOfCors, type CorsSettings } from '../../../src/policy/cors.ts'

const SECTION = { mode: 'enforce', domains: ['https://example.org'] }
const policyWith = (settings: object): object => ({ appId: 'a', domainProtect: { ...SECTION, ...settings } })

function issuesOf(settings: object): string[] {
  try {
    parsePolicy(policyWith(settings))
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    return error.issues.map(({ path, message, corrected }) =>
      [path.replace('domainProtect.', ''), message, corrected]
        .filter((part) => part !== undefined)
        .join(' | '),
    )
  }
  return []
}

describe('the CORS settings of a policy', () => {
  it('are used as written, without defaults', () => {
    const settings = {
      methods: ['GET', 'PATCH', 'M-SEARCH', 'OPTIONS'],
      headers: ['content-type', 'x-app-id', 'x-origin', 'authorization', "x-!#$%&'+.^_`|~0"],
      exposedHeaders: ['x-request-id', 'etag'],
      credentials: true,
      maxAge: 7_200,
    }
    expect(parsePolicy(policyWith(settings))).toEqual(policyWith(settings))
    expect(parsePolicy(policyWith({}))).toEqual(policyWith({}))
    const least = { methods: [], headers: [], exposedHeaders: [], credentials: false, maxAge: 0 }
    expect(parsePolicy(policyWith(least))).toEqual(policyWith(least))
  })

  const refused: [string, object, string][] = [
    [
      'a method in lower case',
      { methods: ['GET', 'patch'] },
      'methods[1] | methods are written in upper case | PATCH',
    ],
    ['all methods', { methods: ['*'] }, 'methods[0] | list the methods: `*` refuses nothing'],
    ['no method', { methods: [''] }, 'methods[0] | is not the name of a method'],
    ['a list in one text', { methods: ['GET,PUT'] }, 'methods[0] | is not the name of a method'],
    ['a line feed', { methods: ['GET\r\nX: 1'] }, 'methods[0] | is not the name of a method'],
    ['a long method', { methods: ['A'.repeat(33)] }, 'methods[0] | is not the name of a method'],
    ...['CONNECT', 'TRACE', 'track'].map((method): [string, object, string] => [
      `the forbidden method ${method}`,
      { methods: [method] },
      'methods[0] | no browser lets a page use this method',
    ]),
    [
      'all headers',
      { headers: ['*'] },
      'headers[0] | list the headers, or omit `headers` to allow all requested headers',
    ],
    ...['', 'x a', 'x-a:', 'x-a, x-b', 'x-a\n', '"x"', 'é', 'ſ', 'x'.repeat(129)].map(
      (header): [string, object, string] => [
        `the header ${JSON.stringify(header).slice(0, 20)}`,
        { headers: [header] },
        'headers[0] | is not the name of a header',
      ],
    ),
    ...[
      'cookie',
      'Origin',
      'host',
      'sec-fetch-site',
      'proxy-authorization',
      'access-control-request-method',
    ].map((header): [string, object, string] => [
      `the header ${header}, which only the browser writes`,
      { headers: [header.toLowerCase()] },
      'headers[0] | no browser lets a page set this header',
    ]),
    [
      'all exposed headers',
      { exposedHeaders: ['*'] },
      'exposedHeaders[0] | list the headers: with credentials, `*` is only the name of a header',
    ],
    [
      'cookies among the exposed headers',
      { exposedHeaders: ['set-cookie'] },
      'exposedHeaders[0] | no browser lets a page read this header',
    ],
    [
      'a text for credentials',
      { credentials: 'true' },
      'credentials | expected `true` or `false`, got "true"',
    ],
    [
      'credentials for the opaque origin',
      { domains: ['null'], credentials: true },
      'credentials | must not be true while `null` is a domain: any website can have that origin, and could then read responses with the cookies of its visitors',
    ],
    ['an age over two hours', { maxAge: 7_201 }, 'maxAge | expected at most 7200 seconds, got 7201'],
    ['an age below zero', { maxAge: -1 }, 'maxAge | expected at least 0 seconds, got -1'],
    ['a part of a second', { maxAge: 1.5 }, 'maxAge | expected a whole number, got 1.5'],
    [
      'the names of `cors`',
      { allowedHeaders: ['x-a'] },
      'allowedHeaders | unknown key: did you mean `exposedHeaders`?',
    ],
  ]
  for (const [what, settings, issue] of refused) {
    it(`refuse ${what}`, () => {
      expect(issuesOf(settings)).toEqual([issue])
    })
  }

  it('refuse more names than an answer should contain', () => {
    for (const name of ['methods', 'headers', 'exposedHeaders']) {
      const names = Array.from({ length: 101 }, (_, index) =>
        name === 'methods'
          ? `M${String.fromCharCode(65 + (index % 26), 65 + Math.floor(index / 26))}`
          : `x-${index}`,
      )
      expect(issuesOf({ [name]: names })[0]).toMatch(new RegExp(`^${name} \\| expected at most 100, got `))
    }
  })
})

describe('the combined settings of several apps for a preflight', () => {
  const rows: [what: string, settings: [CorsSettings, ...CorsSettings[]], union: object][] = [
    [
      'is what one app says where there is no other',
      [{ methods: ['PUT'], headers: ['x-a'], maxAge: 60 }],
      { methods: ['PUT'], headers: ['x-a'], credentials: false, maxAge: 60 },
    ],
    [
      'has the methods of all',
      [{ methods: ['PUT'] }, { methods: ['GET', 'PUT'] }],
      { methods: ['PUT', 'GET'] },
    ],
    [
      'has the usual methods where one names none',
      [{ methods: ['PURGE'] }, {}],
      { methods: ['PURGE', ...DEFAULT_METHODS] },
    ],
    ['has the headers of all', [{ headers: ['x-a'] }, { headers: ['x-b'] }], { headers: ['x-a', 'x-b'] }],
    ['has every header where one names none', [{ headers: ['x-a'] }, {}], { headers: undefined }],
    ['has credentials where one grants them', [{}, { credentials: true }], { credentials: true }],
    ['is remembered for as long as all say', [{ maxAge: 600 }, { maxAge: 60 }, { maxAge: 0 }], { maxAge: 0 }],
    ['is remembered as usual where one says nothing', [{ maxAge: 600 }, {}], { maxAge: undefined }],
  ]
  it.each(rows)('%s', (_what, settings, union) => {
    expect(unionOfCors(settings)).toMatchObject(union)
  })
})
