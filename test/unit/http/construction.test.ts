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
          new RegExp(`\\.${option}\` must be .*, got undefined`),
        )
      })
    }

    for (const [option, value, shown] of [
      ['polices', 1, 'got 1'],
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
        expect(build(value)).toThrow(/options` must be an object/)
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
      'an unknown proxy header',
      () => ipWhitelist({ policies, clientAddress: { trustedProxies: [], header: 'x-client' as never } }),
      /`ipWhitelist.clientAddress.header` must be one of/,
    ],
    [
      'two places of an app id',
      () => appIdFrom({ header: 'a', query: 'b' }),
      /`appIdFrom options` must be an object with one of/,
    ],
    ['no place of an app id', () => appIdFrom({} as never), /`appIdFrom options`/],
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
    ['max 0', () => memoryAuditSink({ max: 0 }), /`memoryAuditSink.max`/],
  ]
  for (const [what, build, message] of wrong) {
    it(`refuses ${what}`, () => {
      expect(build).toThrow(ConfigError)
      expect(build).toThrow(message)
    })
  }

  it('never shows a pseudonym key', () => {
    expect(() =>
      auditAccess({ policies, sink, pseudonymKey: 'a secret that is a text' as never }),
    ).not.toThrow(/a secret/)
  })
})
