import type { ReturnUrlText } from '../../policy/policy.ts'

/** A return URL that must be refused. */
export interface HostileReturnUrl {
  /** The trick: `user information`. */
  readonly class: string
  readonly url: string
  /** What is wrong with it. */
  readonly why: string
  /** The reason in the evidence of the refusal. `no entry`: the URL is well-formed, but no entry admits it. */
  readonly refused: string
  /** The entries that it attacks. A policy whose only entry is `https://example.org/callback/` must refuse it too. */
  readonly policy: readonly ReturnUrlText[]
}

/** A return URL that must be admitted. */
export interface RightfulReturnUrl {
  /** What it tests: `empty segments`. */
  readonly class: string
  readonly url: string
  /** Why it is valid. */
  readonly why: string
  readonly policy: readonly ReturnUrlText[]
  /** The text of the entry that admits it. */
  readonly entry: string
  /** Its canonical form, which handlers find in `req.portcullis.returnUrl`. */
  readonly href: string
}

/** An `Origin` that must be refused. */
export interface HostileOrigin {
  /** The trick: `suffix`. */
  readonly class: string
  readonly origin: string
  /** What is wrong with it. */
  readonly why: string
  /** `unreadable`: not a serialised origin. `no entry`: a serialised origin, but no entry admits it. */
  readonly refused: 'unreadable' | 'no entry'
  /** The entries that it attacks. A policy whose only entry is `https://example.org` must refuse it too. */
  readonly policy: readonly string[]
}

/** Lines that differ only in the URL. Default policy: `https://example.org/callback/`. */
export interface HostileUrls {
  readonly class: string
  readonly why: string
  readonly refused: string
  readonly policy?: readonly ReturnUrlText[]
  readonly urls: readonly string[]
}

export interface RightfulUrls {
  readonly class: string
  readonly why: string
  readonly policy?: readonly ReturnUrlText[]
  /** A plain string is canonical, and admitted by the first entry. */
  readonly urls: readonly (
    string | { readonly url: string; readonly entry?: string; readonly href?: string }
  )[]
}

/** Lines that differ only in the origin. Default policy: `https://example.org`. */
export interface HostileOrigins {
  readonly class: string
  readonly why: string
  readonly refused: HostileOrigin['refused']
  readonly policy?: readonly string[]
  readonly origins: readonly string[]
}

const CALLBACK: readonly ReturnUrlText[] = ['https://example.org/callback/']

export function hostileUrlLines(groups: readonly HostileUrls[]): readonly HostileReturnUrl[] {
  return groups.flatMap(({ urls, policy = CALLBACK, ...group }) =>
    urls.map((url) => Object.freeze({ ...group, url, policy })),
  )
}

export function rightfulUrlLines(groups: readonly RightfulUrls[]): readonly RightfulReturnUrl[] {
  return groups.flatMap(({ urls, policy = CALLBACK, ...group }) =>
    urls.map((line) => {
      const { url, entry = textOf(policy[0]), href = url } = typeof line === 'string' ? { url: line } : line
      return Object.freeze({ ...group, url, policy, entry, href })
    }),
  )
}

export function hostileOriginLines(groups: readonly HostileOrigins[]): readonly HostileOrigin[] {
  return groups.flatMap(({ origins, policy = ['https://example.org'], ...group }) =>
    origins.map((origin) => Object.freeze({ ...group, origin, policy })),
  )
}

function textOf(entry: ReturnUrlText | undefined): string {
  return typeof entry === 'object' ? entry.exact : (entry ?? '')
}
