import type { PolicyInput } from '../../src/index.ts'
import { JUDGED_POLICIES } from './judged-requests.ts'

type AnySection = Readonly<Record<string, unknown>>

/** A changed policy: these members of a section of an app are replaced. */
const change = (appId: string, section: string, members: AnySection): PolicyInput => {
  const policy = JUDGED_POLICIES[appId] as unknown as Readonly<Record<string, AnySection>>
  return { ...policy, [section]: { ...policy[section], ...members } } as unknown as PolicyInput
}

/** Changed policies, each of which changes a decision about the generated requests. */
export const PLANTED_POLICIES: Readonly<Record<string, PolicyInput>> = {
  'a range is wider': change('shop', 'ipWhitelist', { ranges: ['0.0.0.0/0', '2001:db8::/32'] }),
  'a range is narrower': change('shop', 'ipWhitelist', { ranges: ['203.0.113.128/25', '2001:db8::/32'] }),
  'nothing is denied any more': change('shop', 'ipWhitelist', { deny: [] }),
  'a list is not asked any more': change('shop', 'ipWhitelist', { lists: [] }),
  'the allow list only reports': change('shop', 'ipWhitelist', { mode: 'report' }),
  'a domain is gone': change('shop', 'domainProtect', { domains: ['https://*.shop.example'] }),
  'a domain is new': change('shop', 'domainProtect', { domains: ['https://evil.example'] }),
  'the policy requires no origin from servers': change('shop', 'domainProtect', { server: 'none' }),
  'pages may use fewer methods': change('lab', 'domainProtect', { methods: ['GET'] }),
  'a return URL is gone': change('lab', 'returnUrlGuard', { urls: [] }),
  'a return URL is new': change('lab', 'returnUrlGuard', { urls: ['https://evil.example/'] }),
  'the fallback is another place': change('shop', 'regionPin', { fallback: 'world' }),
  'there is a fallback': change('lab', 'regionPin', { fallback: 'europe' }),
  'a server need not sign': change('robots', 'serverOnly', { mode: 'off' }),
}

/** A code change: one replacement in a compiled file. */
export interface PlantedCode {
  readonly file: string
  readonly from: string
  readonly to: string
}

/** Changes of guard code, each of which changes a decision about the generated requests. */
export const PLANTED_CODE: Readonly<Record<string, PlantedCode>> = {
  'an entry of `deny` does not win': {
    file: 'src/guards/ip-whitelist.js',
    from: 'if (refusing !== undefined)',
    to: 'if (false)',
  },
  'a missing deny list admits': {
    file: 'src/guards/ip-whitelist.js',
    from: 'if (!list.exists)',
    to: 'if (false)',
  },
  'expired entries count': {
    file: 'src/match/expiring-ip-set.js',
    from: '> now',
    to: '> 0',
  },
  '`X-Origin` may contradict `Origin`': {
    file: 'src/guards/domain-protect.js',
    from: 'if (xOrigin !== undefined && ',
    to: 'if (false && ',
  },
  'a required return URL that is wrong is let through': {
    file: 'src/guards/return-url-guard.js',
    from: 'if (entry === undefined)',
    to: 'if (false)',
  },
  'the fallback is not asked': {
    file: 'src/guards/region-pin.js',
    from: 'known ?? fallback',
    to: 'known',
  },
}
