import type { ReturnUrlText } from '../../policy/policy.ts'

/** A return URL that must be refused. */
export interface HostileReturnUrl {
  /** The trick: `user information`. */
  readonly class: string
  readonly url: string
  /** What is wrong with it. */
  readonly why: string
  /** The reason in the evidence of the refusal; `no entry`: well-formed, but no entry admits it. */
  readonly refused: string
  /** The entries that it is aimed at. `https://example.org/callback/` alone must refuse it too. */
  readonly policy: readonly ReturnUrlText[]
}

/** A return URL that must be admitted. */
export interface RightfulReturnUrl {
  /** What it shows: `empty segments`. */
  readonly class: string
  readonly url: string
  /** Why it is right. */
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
  /** `unreadable`: no serialised origin. `no entry`: one, but no entry admits it. */
  readonly refused: 'unreadable' | 'no entry'
  /** The entries that it is aimed at. `https://example.org` alone must refuse it too. */
  readonly policy: readonly string[]
}

/** Lines that differ in the URL only. The policy left out: `https://example.org/callback/`. */
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
  /** A text is canonical, and admitted by the first entry. */
  readonly urls: readonly (
    string | { readonly url: string; readonly entry?: string; readonly href?: string }
  )[]
}

/** The policy left out: `https://example.org`. */
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
