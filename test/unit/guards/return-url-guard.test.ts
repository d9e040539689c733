import { describe, expect, it } from '@jest/globals'
import {
  decideReturnUrlGuard,
  type NamedReturnUrl,
  type ReturnUrlFacts,
} from '../../../src/guards/return-url-guard.ts'
import { compilePolicy } from '../../../src/policy/compile.ts'
import { readPolicy } from '../../../src/policy/parse.ts'
import { describeGuard } from './table.ts'

const URLS = {
  urls: ['https://app.example/callback/', { exact: 'https://app.example/done?x=1' }, 'myapp://login'],
}

function named(value: unknown, more: Partial<NamedReturnUrl> = {}): { named: NamedReturnUrl[] } {
  return { named: [{ name: 'returnUrl', value, optional: false, ...more }] }
}

const usual: ReturnUrlFacts = named('https://app.example/callback/x')
const two = (second: unknown) => ({
  named: [...usual.named, { name: 'cancelUrl', value: second, optional: true }],
})

describeGuard({ name: 'returnUrlGuard', guard: decideReturnUrlGuard, facts: usual }, [
  [
    'allows a URL below a prefix, and names the entry',
    URLS,
    {},
    'ALLOWED',
    { evidence: { entry: 'https://app.example/callback/' } },
  ],
  ['allows an exact URL', URLS, named('https://app.example/done?x=1'), 'ALLOWED'],
  ['allows a URL of an application scheme', URLS, named('myapp://login/back'), 'ALLOWED'],
  [
    'refuses an exact URL with another query',
    URLS,
    named('https://app.example/done?x=2'),
    'RETURN_URL_NOT_ALLOWED',
  ],
  [
    'refuses another path',
    URLS,
    named('https://app.example/admin'),
    'RETURN_URL_NOT_ALLOWED',
    { outcome: undefined, evidence: { origin: 'https://app.example' } },
  ],
  [
    'refuses a path that only begins like the prefix',
    { urls: ['https://app.example/callback'] },
    named('https://app.example/callbacks'),
    'RETURN_URL_NOT_ALLOWED',
  ],
  ['refuses another origin', URLS, named('https://evil.example/callback/x'), 'RETURN_URL_NOT_ALLOWED'],
  ['refuses another scheme', URLS, named('http://app.example/callback/x'), 'RETURN_URL_NOT_ALLOWED'],
  [
    'refuses dot segments, which a browser would remove',
    URLS,
    named('https://app.example/callback/../admin'),
    'RETURN_URL_NOT_ALLOWED',
    { evidence: { reason: 'dot segment' } },
  ],
  [
    'refuses a user name',
    URLS,
    named('https://app.example@evil.example/callback/'),
    'RETURN_URL_NOT_ALLOWED',
  ],
  ['refuses a backslash', URLS, named('https://app.example\\callback/'), 'RETURN_URL_NOT_ALLOWED'],
  ['refuses a path where no origin is declared', URLS, named('/callback/x'), 'RETURN_URL_NOT_ALLOWED'],
  [
    'allows a path on the declared origin',
    URLS,
    { ...named('/callback/x'), relativeTo: 'https://app.example' },
    'ALLOWED',
  ],
  [
    'refuses a path that leads to another host',
    URLS,
    { ...named('//evil.example/callback/'), relativeTo: 'https://app.example' },
    'RETURN_URL_NOT_ALLOWED',
  ],
  [
    'refuses a URL with a reserved parameter',
    URLS,
    { ...named('https://app.example/callback/?code=1'), reserved: ['code'] },
    'RETURN_URL_NOT_ALLOWED',
    { evidence: { reason: 'reserved parameter' } },
  ],
  [
    'allows the same URL where the parameter is not reserved',
    URLS,
    named('https://app.example/callback/?code=1'),
    'ALLOWED',
  ],
  [
    'refuses a request that names no URL',
    URLS,
    named(undefined),
    'RETURN_URL_REQUIRED',
    { outcome: undefined, evidence: {} },
  ],
  ['takes an empty string for no URL', URLS, named(''), 'RETURN_URL_REQUIRED'],
  [
    'allows a request without a URL that may be left out',
    URLS,
    named(undefined, { optional: true }),
    'ALLOWED',
  ],
  [
    'refuses what cannot be read for certain',
    URLS,
    named(undefined, { problem: 'given twice' }),
    'RETURN_URL_NOT_ALLOWED',
    { evidence: { reason: 'given twice' } },
  ],
  ['refuses a value that is not a string', URLS, named(7), 'RETURN_URL_NOT_ALLOWED'],
  ['refuses every URL by an empty list', {}, {}, 'RETURN_URL_NOT_ALLOWED'],
  [
    'allows several URLs that match',
    URLS,
    two('myapp://login'),
    'ALLOWED',
    { evidence: { entry: 'https://app.example/callback/ myapp://login' } },
  ],
  [
    'refuses several URLs of which one does not match, and names its parameter',
    URLS,
    two('https://evil.example/'),
    'RETURN_URL_NOT_ALLOWED',
    { evidence: { parameter: 'cancelUrl', origin: 'https://evil.example' } },
  ],
  [
    'judges the URLs behind one that was left out',
    URLS,
    {
      named: [
        { name: 'next', value: undefined, optional: true },
        { name: 'cancelUrl', value: 'https://evil.example/', optional: true },
      ],
    },
    'RETURN_URL_NOT_ALLOWED',
    { outcome: undefined, evidence: { parameter: 'cancelUrl', origin: 'https://evil.example' } },
  ],
  [
    'refuses an encoded slash below a prefix',
    URLS,
    named('https://app.example/callback/a%2Fb'),
    'RETURN_URL_NOT_ALLOWED',
    { evidence: { reason: 'encoded separator' } },
  ],
  [
    'allows an encoded slash where an exact entry has the same',
    { urls: ['https://app.example/callback/', { exact: 'https://app.example/callback/a%2Fb' }] },
    named('https://app.example/callback/a%2Fb'),
    'ALLOWED',
  ],
])

describe('the outcome of decideReturnUrlGuard', () => {
  const judge = (mode: string, facts: Partial<ReturnUrlFacts>) =>
    decideReturnUrlGuard(compilePolicy(readPolicy({ appId: 'a', returnUrlGuard: { ...URLS, mode } })), {
      ...usual,
      ...facts,
    }).outcome?.map(([name, { href }]) => [name, href])

  const CANONICAL = [['returnUrl', 'https://app.example/callback/%C3%A4']]
  it.each([
    [
      'the canonical form of what was allowed',
      'enforce',
      'HTTPS://App.Example:443/callback/%c3%a4',
      CANONICAL,
    ],
    ['nothing where it has refused', 'enforce', 'https://evil.example/', undefined],
    [
      'every well-formed URL while it only reports',
      'report',
      'https://evil.example/x',
      [['returnUrl', 'https://evil.example/x']],
    ],
    [
      'every well-formed URL while it is off',
      'off',
      'https://evil.example/x',
      [['returnUrl', 'https://evil.example/x']],
    ],
    ['nothing that is not well-formed, in any mode', 'off', 'https://evil.example/../x', []],
  ])('is %s', (_what, mode, value, outcome) => {
    expect(judge(mode, named(value))).toEqual(outcome)
  })
})
