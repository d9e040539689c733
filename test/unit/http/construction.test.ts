import { describe, expect, it } from '@jest/globals'
import {
  appIdFrom,
  auditAccess,
  bodyParsers,
  ConfigError,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  protect,
  regionPin,
  returnUrlGuard,
  serverOnly,
} from 'portcullis'

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

describe('construction', () => {
  for (const [name, factory, good] of factories) {
    const build = (options: unknown) => () => factory(options as never)

    it(`${name} takes good options, and does not write to them`, () => {
      const options = Object.freeze({ ...good })
      expect(build(options)).not.toThrow()
    })

    it(`${name} takes an option that is undefined for one that is left out`, () => {
      expect(
        build({ ...good, onDeny: undefined, onReport: undefined, appId: undefined, requestId: undefined }),
      ).not.toThrow()
    })

    for (const option of Object.keys(good)) {
      it(`${name} needs \`${option}\``, () => {
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
    ] as const) {
      it(`${name} refuses \`${option}\` ${JSON.stringify(value)}, naming option, expectation and value`, () => {
        expect(build({ ...good, [option]: value })).toThrow(ConfigError)
        expect(build({ ...good, [option]: value })).toThrow(
          expect.objectContaining({ message: expect.stringContaining(shown), code: 'CONFIG_INVALID' }),
        )
      })
    }

    for (const value of [undefined, null, 'options', [], 5]) {
      it(`${name} refuses ${String(value)} in place of options`, () => {
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
      /`returnUrlGuard.returnUrl.body` must be a name, or names with dots between them, got "urls\[0\]"/,
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

  it('takes a return URL in every form, and protect hands its options on', () => {
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
