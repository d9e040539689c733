import type { ConsoleRight, GuardName, Mode } from '../contract.ts'

export interface GuardWords {
  readonly name: GuardName
  readonly title: string
  readonly says: string
}

export const GUARDS: readonly GuardWords[] = [
  {
    name: 'serverOnly',
    title: 'Server only',
    says: "Admits only requests signed by the app's servers.",
  },
  {
    name: 'ipWhitelist',
    title: 'Address allow list',
    says: 'Admits only requests from the addresses below.',
  },
  {
    name: 'domainProtect',
    title: 'Domain protection',
    says: 'Admits browsers only on pages of the origins below.',
  },
  {
    name: 'returnUrlGuard',
    title: 'Return URLs',
    says: 'Sends users back to the URLs below and nowhere else.',
  },
  {
    name: 'regionPin',
    title: 'Region pinning',
    says: "Keeps requests about a person in that person's jurisdiction.",
  },
  {
    name: 'auditAccess',
    title: 'Access audit',
    says: 'Records every request and every read of personal data.',
  },
]

export const MODES: readonly { readonly mode: Mode; readonly title: string; readonly says: string }[] = [
  { mode: 'off', title: 'Off', says: 'does not check requests' },
  { mode: 'report', title: 'Report', says: 'records what it would refuse' },
  { mode: 'enforce', title: 'Enforce', says: 'refuses requests that fail the check' },
]

export const RIGHTS: Readonly<Record<ConsoleRight, string>> = {
  look: 'view',
  'look-at-personal-data': 'view personal data',
  narrow: 'restrict access',
  widen: 'extend access',
  keys: 'manage keys',
  'break-glass': 'break glass',
}

const OTHERS: Readonly<Record<string, string>> = { name: 'Name', expect: 'Expectations' }

/** Shown with counts that leave out older events. */
export const OLDER_LEFT_OUT = 'Only the newest requests are counted; older ones are left out.'

export const titleOf = (section: string): string =>
  GUARDS.find(({ name }) => name === section)?.title ?? OTHERS[section] ?? section

/** The display name of an app, or its id if the name has nothing to see. */
export const nameOf = (appId: string, name: string | undefined): string =>
  name === undefined || /^[\p{Z}\p{C}]*$/u.test(name) ? appId : name

export const count = (number: number, one: string, many = `${one}s`): string =>
  `${number.toLocaleString('en')} ${number === 1 ? one : many}`

const MODE_WORDS: Readonly<Record<Mode, string>> = {
  off: 'This protection is switched off.',
  report: 'Mode report: recorded, not refused.',
  enforce: 'Mode enforce.',
}

/** Why a guard decided this way, and in which mode, in sentences. */
export function detailOf({
  detail,
  mode,
  effect,
}: {
  readonly detail: string
  readonly mode: Mode
  readonly effect: 'allow' | 'deny'
}): string {
  if (mode === 'off') return MODE_WORDS.off
  // The audit decides about every request, and refuses none itself.
  const why =
    detail === 'recorded' ? 'The request was recorded' : `${detail.charAt(0).toUpperCase()}${detail.slice(1)}`
  return `${why}. ${effect === 'allow' && mode === 'report' ? 'Mode report.' : MODE_WORDS[mode]}`
}

/** The look of a decision. A protection that is off is not shown as good. */
export const kindOf = ({
  effect,
  mode,
}: {
  readonly effect: 'allow' | 'deny'
  readonly mode: Mode
}): '' | 'good' | 'fair' | 'danger' => {
  if (effect === 'allow') return mode === 'off' ? '' : 'good'
  return mode === 'enforce' ? 'danger' : 'fair'
}

/** `Server only: maxAge` for `serverOnly.maxAge`. */
export function placeOf(path: string): string {
  const [section = '', ...members] = path.split('.')
  return [titleOf(section), ...members].join(': ')
}

/** The kinds of callers that `domainProtect` distinguishes. */
const CALLERS: Readonly<Record<string, string>> = {
  browser: 'a page in a browser',
  opaque: 'a page whose origin is hidden (null)',
  server: 'a server, by its X-Origin header',
  signed: 'a server that signed the request',
  absent: 'a caller that names no origin',
  referer: 'a page that is known by its Referer header only',
  preflight: 'a preflight of a browser',
  invalid: 'a caller with an unreadable origin',
  contradiction: 'a caller whose headers contradict each other',
}

export const evidenceOf = (name: string, value: unknown): string =>
  name === 'case' ? `judged as: ${CALLERS[String(value)] ?? String(value)}` : `${name}: ${String(value)}`

/** `72`, or `48 of 60` if the highest possible score is 60. */
export const scoreWords = (score: number, highest: number): string =>
  highest === 100 ? String(score) : `${score} of ${highest}`

let times: Intl.DateTimeFormat | undefined

export function timeOf(at: string): string {
  if (Number.isNaN(Date.parse(at))) return at
  // Created on first use: the first page shows no time, and creating it is slow.
  times ??= new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' })
  return times.format(new Date(at))
}

let clocks: Intl.DateTimeFormat | undefined

/** `10:26:05 PM` today, otherwise as `timeOf`. */
export function clockOf(at: string): string {
  if (new Date(at).toDateString() !== new Date().toDateString()) return timeOf(at)
  clocks ??= new Intl.DateTimeFormat('en', { timeStyle: 'medium' })
  return clocks.format(new Date(at))
}

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
] as const

let relativeTimes: Intl.RelativeTimeFormat | undefined

/** `2 hours ago`, `in 6 days`. */
export function fromNow(at: string): string {
  const distance = Date.parse(at) - Date.now()
  const [unit, size] = UNITS.find(([, milliseconds]) => Math.abs(distance) >= milliseconds) ?? [
    'second',
    1_000,
  ]
  if (unit === 'second') return distance > 0 ? 'in less than a minute' : 'just now'
  relativeTimes ??= new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
  return relativeTimes.format(Math.round(distance / size), unit)
}
