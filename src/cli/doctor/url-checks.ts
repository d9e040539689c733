import { isIP } from 'node:net'
import { fail, pass, skip, warn, type Check, type Finding } from '../checks.ts'
import { judgeClock } from '../clock.ts'
import { checkedUrl, exchange, reasonOf, type Answer } from '../exchange.ts'

const HALF_A_YEAR = 15_552_000

/** The checks of a URL of the service. */
export async function urlChecks(text: string | undefined): Promise<readonly Check[]> {
  const ids = ['url', 'https', 'hsts', 'clock'] as const
  const all = (finding: Finding): Check[] => ids.map((id) => ({ id, ...finding }))
  if (text === undefined) return all(skip('give `--url`'))
  const url = checkedUrl(text, '`--url`')
  let answer: Answer
  try {
    answer = await exchange({ method: 'GET', url: url.href, headers: {} }, 10_000)
  } catch (error) {
    const { reason, fix } = reasonOf(error)
    const [, ...rest] = all(skip('the URL cannot be reached'))
    return [{ id: 'url', ...fail(reason, fix) }, ...rest]
  }
  return [
    { id: 'url', ...pass(`answered with status ${answer.status}`) },
    { id: 'https', ...judgeHttps(url) },
    { id: 'hsts', ...judgeHsts(url, answer) },
    { id: 'clock', ...judgeClock(answer) },
  ]
}

function isLoopback({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$/g, '')
  return (
    host === 'localhost' || host.endsWith('.localhost') || (isIP(host) !== 0 && /^(?:127\.|::1$)/.test(host))
  )
}

function judgeHttps(url: URL): Finding {
  if (url.protocol === 'https:') return pass('the service uses HTTPS with a valid certificate')
  if (isLoopback(url)) return skip('this is HTTP on this machine; give the public URL')
  return fail(
    'the service answers over HTTP: requests can be read and changed in transit',
    'serve HTTPS only',
  )
}

function judgeHsts(url: URL, { headers }: Answer): Finding {
  if (url.protocol !== 'https:') return skip('it applies to HTTPS only')
  const value = headers['strict-transport-security']
  const fix = 'send `Strict-Transport-Security: max-age=31536000`, as helmet does'
  if (value === undefined) return warn('`Strict-Transport-Security` is missing', fix)
  const directives = value.split(';').map((part) => part.trim().toLowerCase())
  const maxAge = directives.find((part) => part.startsWith('max-age'))
  const age = Number(/^max-age\s*=\s*"?(\d+)/.exec(maxAge ?? '')?.[1] ?? NaN)
  if (age >= HALF_A_YEAR) return pass(`browsers use only HTTPS for ${Math.floor(age / 86_400)} days`)
  return warn('`Strict-Transport-Security` has a `max-age` of less than 180 days', fix)
}
