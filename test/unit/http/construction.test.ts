import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import {
  appIdFrom,
  auditAccess,
  bodyParsers,
  ConfigError,
  createPolicySource,
  domainProtect,
  httpMessageSignatures,
  ipWhitelist,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  parsePolicy,
  protect,
  regionPin,
  returnUrlGuard,
  serverOnly,
} from 'portcullis'
import { signedFetch } from 'portcullis/client'

const policies = createPolicySource({ store: memoryStore() })
const sink = memoryAuditSink()
const nonces = memoryNonces()
const returnUrl = () => undefined
const country = () => undefined
const here = 'london'
const everything = { policies, sink, nonces, returnUrl, country, here }

const factories: [string, (options: never) => unknown, object][] = [
  ['ipWhitelist', ipWhitelist, { policies }],
  ['domainProtect', domainProtect, { policies }],
  ['serverOnly', serverOnly, { policies, nonces }],
  ['returnUrlGuard', returnUrlGuard, { policies, returnUrl }],
  ['regionPin', regionPin, { policies, here, country }],
  ['auditAccess', auditAccess, { policies, sink }],
  ['protect', protect, everything],
]

describe('protect with only policies, and with two wrong options', () => {
  const issuesOf = (options: object): readonly string[] => {
    try {
      protect(options as never)
    } catch (error) {
      return (error as ConfigError).issues.map(({ option }) => option)
    }
    return []
  }

  it('reports all problems at once, also those that depend on other options', () => {
    expect(issuesOf({ policies }).toSorted()).toEqual(
      ['country', 'here', 'nonces', 'returnUrl', 'sink'].map((name) => `protect.${name}`),
    )
    const wrong = { ...everything, here: 'Londn', returnUrl: 'return_url' }
    expect(issuesOf(wrong).toSorted()).toEqual(['protect.here', 'protect.returnUrl'])
    expect(issuesOf({ ...wrong, jurisdictions: { a: { countries: '*' } } })).toEqual(
      expect.arrayContaining(['protect.returnUrl', expect.stringMatching(/^protect\.jurisdictions/)]),
    )
    expect(issuesOf([])).toEqual(['protect'])
  })
})

describe('construction', () => {
  for (const [name, factory, good] of factories) {
    const build = (options: unknown) => () => factory(options as never)

    it(`${name} accepts valid options, and does not change them`, () => {
      const options = Object.freeze({ ...good })
      expect(build(options)).not.toThrow()
    })

    it(`${name} treats an undefined option as missing`, () => {
      expect(
        build({ ...good, onDeny: undefined, onReport: undefined, appId: undefined, requestId: undefined }),
      ).not.toThrow()
    })

    for (const option of Object.keys(good)) {
      it(`${name} requires \`${option}\``, () => {
        expect(build({ ...good, [option]: undefined })).toThrow(
          new RegExp(`\\.${option}\` is missing: give `),
        )
      })
    }

    for (const [option, value, shown] of [
      ['polices', 1, 'unknown option `polices`: did you mean `policies`?'],
      ['onDeny', true, 'must be a function, got true'],
      ['onReport', 'log', 'must be a function, got "log"'],
      ['appId', 'app-1', 'must be a function, got "app-1"'],
      ['requestId', 7, 'must be a function, got 7'],
      ['policies', {}, 'must be a policy source made by createPolicySource(), got an empty object'],
      ['policies', { read: () => undefined }, 'this is a store: wrap it in `createPolicySource({ store })`'],
    ] as const) {
      it(`${name} refuses \`${option}\` ${JSON.stringify(value)}, naming option, expectation and value`, () => {
        expect(build({ ...good, [option]: value })).toThrow(ConfigError)
        expect(build({ ...good, [option]: value })).toThrow(
          expect.objectContaining({ message: expect.stringContaining(shown), code: 'CONFIG_INVALID' }),
        )
      })
    }

    for (const value of [undefined, null, 'options', [], 5]) {
      it(`${name} refuses ${String(value)} instead of options`, () => {
        expect(build(value)).toThrow(/` takes an object with /)
      })
    }
  }

  const wrong: [string, () => unknown, RegExp][] = [
    [
      'a negative sinkTimeout',
      () => auditAccess({ policies, sink, sinkTimeout: -1 }),
      /`auditAccess.sinkTimeout` must be a whole number of milliseconds from 1 to 60000, got -1/,
    ],
    [
      'a short pseudonymKey',
      () => auditAccess({ policies, sink, pseudonymKey: new Uint8Array(16) }),
      /`auditAccess.pseudonymKey` must be at least 32 bytes/,
    ],
    [
      'a sink without write',
      () => auditAccess({ policies, sink: {} as never }),
      /`auditAccess.sink` must be an audit sink/,
    ],
    [
      'nonces without claim',
      () => serverOnly({ policies, nonces: {} as never }),
      /`serverOnly.nonces` must be a nonce store/,
    ],
    [
      'a keyExpiryWarning that is no number of days',
      () => serverOnly({ policies, nonces, keyExpiryWarning: 1.5 }),
      /`serverOnly.keyExpiryWarning` must be a whole number of days from 0 to 3650, got 1.5/,
    ],
    [
      'a trusted proxy with host bits',
      () =>
        ipWhitelist({
          policies,
          clientAddress: { trustedProxies: ['10.0.0.1/8'], header: 'x-forwarded-for' },
        }),
      /`ipWhitelist.clientAddress.trustedProxies\[0\]` .*10\.0\.0\.0\/8/,
    ],
    [
      'a proxy header with a space',
      () => ipWhitelist({ policies, clientAddress: { trustedProxies: [], header: 'x client' } }),
      /`ipWhitelist.clientAddress.header` must be the name of the header/,
    ],
    [
      'a client address that is a list of proxies',
      () => ipWhitelist({ policies, clientAddress: ['10.0.0.1'] as never }),
      /`ipWhitelist.clientAddress` takes an object with at least/,
    ],
    [
      'a client address that is a name',
      () => ipWhitelist({ policies, clientAddress: 'x-forwarded-for' as never }),
      /`ipWhitelist.clientAddress` must be an object with `trustedProxies` and `header`, or a function/,
    ],
    [
      'no place of an app id',
      () => appIdFrom({}),
      /`appIdFrom` must be an object with at least one of header/,
    ],
    [
      'a path of an app id with a list',
      () => appIdFrom({ body: 'ids[0]' }),
      /`appIdFrom.body` must be a name/,
    ],
    ['Basic that is not true', () => appIdFrom({ basic: false as never }), /`appIdFrom.basic` must be true/],
    [
      'a header name with a space',
      () => appIdFrom({ header: 'x app' }),
      /`appIdFrom.header` must be the name of a header, got "x app"/,
    ],
    [
      'a body limit of 0',
      () => bodyParsers({ limit: 0 }),
      /`bodyParsers.limit` must be a whole number of bytes/,
    ],
    [
      'a return URL that is no place',
      () => returnUrlGuard({ policies, returnUrl: 'return_url' as never }),
      /`returnUrlGuard.returnUrl` must be a function, a place like .*, or a list of places, got "return_url"/,
    ],
    [
      'a place that is nowhere',
      () => returnUrlGuard({ policies, returnUrl: {} as never }),
      /`returnUrlGuard.returnUrl` must be an object with one of query, body/,
    ],
    [
      'a place that is in two places',
      () => returnUrlGuard({ policies, returnUrl: { query: 'a', body: 'a' } as never }),
      /`returnUrlGuard.returnUrl` must be an object with one of query, body/,
    ],
    [
      'a place of another kind',
      () => returnUrlGuard({ policies, returnUrl: [{ query: 'a' }, { header: 'a' } as never] }),
      /returnUrlGuard.returnUrl\[1\]: unknown option `header`/,
    ],
    [
      'a path with a list in it',
      () => returnUrlGuard({ policies, returnUrl: { body: 'urls[0]' } }),
      /`returnUrlGuard.returnUrl.body` must be a name, or names separated by dots, got "urls\[0\]"/,
    ],
    [
      'a path with an empty name',
      () => returnUrlGuard({ policies, returnUrl: { body: 'options..url' } }),
      /`returnUrlGuard.returnUrl.body`/,
    ],
    [
      'a place declared twice',
      () => returnUrlGuard({ policies, returnUrl: [{ query: 'a' }, { query: 'a', name: 'b' }] }),
      /`returnUrlGuard.returnUrl\[1\]` must be a place that is not already declared/,
    ],
    [
      'no places',
      () => returnUrlGuard({ policies, returnUrl: [] }),
      /`returnUrlGuard.returnUrl` must be at least one place/,
    ],
    [
      'an optional that is neither true nor false',
      () => returnUrlGuard({ policies, returnUrl: { query: 'a', optional: 'yes' as never } }),
      /`returnUrlGuard.returnUrl.optional` must be true or false, got "yes"/,
    ],
    ...[
      '/',
      'https://gateway.example/',
      'HTTPS://gateway.example',
      'myapp://x',
      'null',
      'gateway.example',
    ].map((relativeTo): [string, () => unknown, RegExp] => [
      `relativeTo ${relativeTo}`,
      () => returnUrlGuard({ policies, returnUrl, relativeTo }),
      /`returnUrlGuard.relativeTo` must be an origin of http or https/,
    ]),
    [
      'a reserved parameter without a name',
      () => returnUrlGuard({ policies, returnUrl, reserved: ['code', ' '] }),
      /`returnUrlGuard.reserved` must be a list of names of parameters/,
    ],
    ['max 0', () => memoryAuditSink({ max: 0 }), /`memoryAuditSink.max`/],
  ]
  for (const [what, build, message] of wrong) {
    it(`refuses ${what}`, () => {
      expect(build).toThrow(ConfigError)
      expect(build).toThrow(message)
    })
  }

  const proxied = (clientAddress: unknown) => () =>
    ipWhitelist({ policies, clientAddress: clientAddress as never })
  const trusting = (...trustedProxies: unknown[]) => proxied({ trustedProxies, header: 'x-forwarded-for' })
  const placed = (place: unknown) => () => appIdFrom(place as never)
  const region = (options: object) => () => regionPin({ policies, here, country, ...options })
  const authority = (value: unknown) => () => serverOnly({ policies, nonces, authority: value as never })
  const prefix = (value: unknown) => () => serverOnly({ policies, nonces, pathPrefix: value as never })
  const hints: [hint: string, ...builds: (() => unknown)[]][] = [
    ['; write `appIdFrom({ header: "x-app-id" })`', placed('x-app-id'), placed('x-app-id:')],
    ['; write `appIdFrom({ param: "appId" })`', placed(':appId')],
    ['; write `appIdFrom({ query: "app" })`', placed('?app')],
    ['; a function is an `appId` option by itself', placed(() => 'a')],
    [
      '; this is a request: call it, as in `appId: appIdFrom({ … })`',
      placed(new IncomingMessage(new Socket())),
    ],
    [
      'got a function; call it',
      () => ipWhitelist({ policies: createPolicySource as never }),
      () => serverOnly({ policies, nonces, scheme: httpMessageSignatures as never }),
      () => memoryStore(memoryStore as never),
      () => memoryStore([parsePolicy as never]),
      () => createPolicySource({ store: memoryStore(), maxStale: (() => 1) as never }),
    ],
    [
      'got a function; call it, and write `createPolicySource({ store: … })` around it',
      () => createPolicySource(memoryStore as never),
    ],
    ["; write `['loopback']`", proxied({ trustedProxies: 'loopback', header: 'x-real-ip' })],
    [
      "; write `['10.0.0.1', '10.0.0.2']`",
      proxied({ trustedProxies: '10.0.0.1, 10.0.0.2', header: 'x-real-ip' }),
    ],
    [
      '; name the proxies',
      proxied({ trustedProxies: true, header: 'x-real-ip' }),
      proxied({ trustedProxies: 1, header: 'x' }),
    ],
    ['; did you mean `loopback`?', trusting('localhost'), trusting('loopbak')],
    [', which has a wildcard; write `10.0.0.0/8`', trusting('10.*')],
    [', which has a mask in place of a prefix length; write `10.0.0.0/8`', trusting('10.0.0.0/255.0.0.0')],
    [', which is a host name, which is not looked up: write its addresses', trusting('proxy.example.org')],
    [
      "; write `{ header: 'x-real-ip', trustedProxies: ['loopback'] }` with the addresses of your proxies",
      proxied('x-real-ip'),
    ],
    [
      "; if it is the same for everybody, write `() => 'DE'`",
      region({ country: 'DE' }),
      region({ country: 'germany' }),
    ],
    ['; it is the same for every request: give the name itself', region({ here: () => 'london' })],
    ['; `europe` is a jurisdiction, whose locations are london, frankfurt', region({ here: 'europe' })],
    ['; did you mean `frankfurt`?', region({ here: 'Frankfrut' })],
    [
      "; write `['DE', 'FR']`",
      region({ here: 'x', jurisdictions: { a: { locations: ['x'], countries: 'DE,FR' } } }),
    ],
    [
      '; write `{ query: "return_url" }`, or `body` if it is in the body',
      () => returnUrlGuard({ policies, returnUrl: 'return_url' as never }),
    ],
    [
      "; write `'https://gateway.example'`",
      authority('https://gateway.example/'),
      authority('Gateway.example:443'),
    ],
    ["; write `['https://a.example', 'https://b.example']`", authority(['a.example', 'https://b.example/x'])],
    ['; two of them have the same host', authority(['https://a.example', 'a.example'])],
    [
      "; write `'https://gateway.example'`",
      () => returnUrlGuard({ policies, returnUrl, relativeTo: 'gateway.example' }),
    ],
    ['; omit it if the proxy strips nothing', prefix('/'), prefix('')],
    [
      '; call it, or write `{ claim: … }` around it',
      () => serverOnly({ policies, nonces: memoryNonces as never }),
    ],
    [
      '; call it, or write `{ write: … }` around it',
      () => auditAccess({ policies, sink: memoryAuditSink as never }),
      () => auditAccess({ policies, sink: (() => undefined) as never }),
    ],
    [
      '; call it, or write `{ read: … }` around it',
      () => createPolicySource({ store: memoryStore as never }),
    ],
    [
      '; a locale says which language a person reads, not the citizenship',
      region({ here: 'x', jurisdictions: { a: { locations: ['x'], countries: ['pt-BR'] } } }),
    ],
    [
      '; this is a promise: `await` it first',
      () => auditAccess({ policies, sink: Promise.resolve(sink) as never }),
    ],
    ['; write `1048576`', ...['1048576'].map((limit) => () => bodyParsers({ limit: limit as never }))],
    [
      '; write `1000`',
      ...['1000'].map(
        (optionTimeout) => () => ipWhitelist({ policies, optionTimeout: optionTimeout as never }),
      ),
    ],
  ]
  it.each(hints)('suggests what was probably meant: %s', (hint, ...builds) => {
    expect(builds.length).toBeGreaterThan(0)
    for (const build of builds) {
      expect(build).toThrow(ConfigError)
      expect(build).toThrow(expect.objectContaining({ message: expect.stringContaining(hint) }))
    }
  })

  it.each([
    ['of milliseconds that are too many', () => ipWhitelist({ policies, optionTimeout: '5h' as never })],
    ['of a number with a unit', () => bodyParsers({ limit: '1mb' as never })],
    ['of a unit that is none', () => bodyParsers({ limit: '5 apples' as never })],
    ['of trusted proxies that are left out', proxied({ header: 'x-real-ip' })],
    ['of an authority with user information', authority('https://a@b.example')],
    ['of a prefix with dot segments', prefix('/../api')],
    ['of a header in place of a citizenship', region({ country: { header: 'cf-ipcountry' } })],
    ['of the name of such a header', region({ country: 'cf-ipcountry' })],
    ...['0.0.0.0-255.255.255.255', '*', '10.0.0.1/0', '::/0', 'any'].map(
      (everybody): [string, () => unknown] => [
        `of proxies that are everybody: ${everybody}`,
        trusting(everybody),
      ],
    ),
  ])('makes no suggestion %s', (_what, build) => {
    expect(build).toThrow(expect.objectContaining({ message: expect.not.stringContaining(';') }))
  })

  it.each([
    ['https://user:hunter2secret@gateway.example', 'https://…@gateway.example'],
    ['user:hunter2secret@gateway.example', '…@gateway.example'],
    ['https://gateway.example/api?token=hunter2', 'https://gateway.example/api?…'],
  ])('removes possible secrets from the URL %s', (url, shown) => {
    expect(authority(url)).not.toThrow(/hunter2/)
    const ending = url.includes('?') ? [url] : [url, `${url}/?token=hunter2`]
    for (const text of ending) expect(authority(text)).toThrow(shown)
  })

  it.each(['0.0.0.0-255.255.255.255', '*', '10.0.0.1/0', '::/0'])(
    'does not suggest %s as proxies',
    (text) => {
      expect(trusting(text)).toThrow('must be the proxies in front, not every address')
    },
  )

  it('accepts a return URL in every form, and protect passes on its options', () => {
    const places = [{ query: 'a' }, { body: 'a.b', name: 'a', optional: true }]
    for (const given of [returnUrl, places[0], places]) {
      const options = { returnUrl: given as never, relativeTo: 'https://gateway.example', reserved: ['code'] }
      expect(() => returnUrlGuard({ policies, ...options })).not.toThrow()
      expect(() => protect({ ...everything, ...options })).not.toThrow()
      expect(() => protect({ ...everything, ...options, relativeTo: '/' })).toThrow(/relativeTo/)
    }
  })

  it('never shows a pseudonym key', () => {
    expect(() =>
      auditAccess({ policies, sink, pseudonymKey: 'a secret that is a text' as never }),
    ).not.toThrow(/a secret/)
  })
})

describe('an option that belongs elsewhere', () => {
  it('names the option for proxies', () => {
    const options = { policies, trustProxy: true } as never
    expect(() => ipWhitelist(options)).toThrow(
      'ipWhitelist: unknown option `trustProxy`: did you mean `clientAddress`?',
    )
  })

  it('names the policy for its members', () => {
    const options = { policies, mode: 'enforce', domains: [] } as never
    expect(() => domainProtect(options)).toThrow(
      'domainProtect: unknown option `mode`: it belongs in the policy of the app; ' +
        'domainProtect: unknown option `domains`: it belongs in the policy of the app',
    )
  })

  it('says how to write a secret that is given as bytes', () => {
    const secret = Buffer.alloc(32, 7)
    expect(() => signedFetch({ keyId: 'k', secret: secret as never })).toThrow(
      /^`signedFetch\.secret` must be base64 .*, got bytes; write `\.toString\('base64'\)` after a Buffer$/,
    )
  })
})
