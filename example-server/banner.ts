import { DEMO_BROWSER_APP, DEMO_SERVER_APP, KEY_ID, SHOP, type DemoFacts } from './demo-apps.ts'
import { nameOf } from './pages/home-page.ts'
import { notesOfProxies } from './proxies.ts'
import type { Settings } from './settings.ts'
import type { Ukey1 } from './ukey1.ts'

export interface BannerFacts {
  readonly instances: readonly { readonly location: string; readonly url: string }[]
  /** `undefined` in production. */
  readonly demo: DemoFacts | undefined
  readonly notes: readonly string[]
  readonly whyToken: string | undefined
  /** `undefined` in production, where it must not be printed. */
  readonly consoleToken: string | undefined
}

/** The text that the server prints once it listens. */
export function banner({ instances, demo, notes, whyToken, consoleToken }: BannerFacts): string {
  const [first] = instances
  const url = first?.url ?? ''
  const others = instances.slice(1).map(({ location, url }) => `${nameOf(location)} ${url}`)
  const head = [
    `Portcullis example gateway: ${url}  (${nameOf(first?.location ?? '')})`,
    ...(others.length > 0 ? [`Other locations in this process: ${others.join(', ')}`] : []),
    ...notes.map((note) => `  - ${note}`),
    ...(consoleToken === undefined
      ? []
      : [`Console for apps, keys and policies: ${url}/console/  (token ${consoleToken})`]),
  ].join('\n')
  return `\n${head}\n${demo === undefined ? '' : demoCommands(url, demo, whyToken ?? '')}`
}

function demoCommands(url: string, { secret, origin }: DemoFacts, whyToken: string): string {
  const connect = `${url}/auth/v2/connect`
  const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM' // RFC 7636, appendix B
  const body = (returnUrl: string, more: object = {}): string =>
    `'${JSON.stringify({ request_id: '1', scope: 'firstname! email', return_url: returnUrl, ...more })}'`
  const curl = (...headers: string[]): string =>
    ['curl -i', ...headers.map((header) => `-H '${header}'`), `-H 'content-type: application/json'`].join(' ')
  const signed =
    secret === undefined
      ? '   (set DEMO_SECRET to the secret of the demo server app, which was printed when the app was created)\n' +
        `   node --import tsx example-server/connect.ts ${url}`
      : `   DEMO_SECRET='${secret}' node --import tsx example-server/connect.ts ${url}`
  return `
Try it as a person, in a browser app:  ${url}/demo

Demo apps
  ${DEMO_SERVER_APP}   calls from a server; key id ${KEY_ID}${secret === undefined ? '' : `, secret ${secret}`}
  ${DEMO_BROWSER_APP}  calls from a browser; it has no secret, and is protected by its origin

Paste these commands into another terminal, in this directory:

1. A signed request from the server app. It is allowed (200) and prints a link. Sign in there; then it prints the token and your data
${signed}

2. The same request without a signature. Refused: 401 SIGNATURE_REQUIRED
   ${curl(`x-app-id: ${DEMO_SERVER_APP}`, `x-origin: ${SHOP}`)} -d ${body(`${SHOP}/callback/`)} ${connect}

3. The browser app, called from another origin. Refused: 403 ORIGIN_NOT_ALLOWED
   ${curl(`x-app-id: ${DEMO_BROWSER_APP}`, 'origin: https://evil.example')} -d ${body(`${origin}/demo/callback/`)} ${connect}

4. The browser app, with a return URL on another site. Refused: 400 RETURN_URL_NOT_ALLOWED
   ${curl(`x-app-id: ${DEMO_BROWSER_APP}`, `origin: ${origin}`)} -d ${body('https://evil.example/', { code_challenge: challenge })} ${connect}

5. Why the last request was refused, and what the policy allows. Only in development
   curl -H 'authorization: Bearer ${whyToken}' ${url}/why
`
}

/** Notes for the operator about the settings of this start. */
export async function notesOf(
  settings: Settings,
  ukey1: Ukey1 | undefined,
  othersOnly: boolean,
): Promise<string[]> {
  const legacy = await Promise.all(
    settings.ukey1Apps.map(async (app) => {
      const secretKey = await ukey1?.issue(app)
      return `legacy: ${app} may use Ukey1 signatures${secretKey === undefined ? '' : ` for 90 days; its Secret Key: ${secretKey}`}`
    }),
  )
  const [region] = settings.regions
  return [
    settings.redisUrl === undefined
      ? 'store: memory, lost when the server stops (set REDIS_URL to keep it in Redis)'
      : 'store: Redis',
    Object.keys(settings.regionRedisUrls).length === 0
      ? 'people of all jurisdictions share one store (set REDIS_LONDON_URL, REDIS_FRANKFURT_URL and REDIS_DALLAS_URL to separate them)'
      : `people are stored by citizenship, in the Redis of ${Object.keys(settings.regionRedisUrls).join(', ')} (see /regions)`,
    settings.regions.length > 1
      ? 'London and Frankfurt serve European citizens, Dallas serves everyone else (set REGION to run only one of them)'
      : `this instance runs in ${region} (REGION), and serves ${region === 'dallas' ? 'citizens of countries outside Europe' : 'European citizens'}`,
    ...notesOfProxies(settings),
    ...(settings.smtpUrl === undefined ? ['emails are printed here (set SMTP_URL to send them)'] : []),
    ...(settings.secretsAreTemporary
      ? ['SECRET_KEY is not set: this run uses a generated key, so no later run can read the stored data']
      : []),
    ...(othersOnly && !settings.secretsAreTemporary
      ? [
          'WARNING: this Redis contains data of another SECRET_KEY, which this run cannot read, and none of this one (set SECRET_KEY to the earlier key to use that data)',
        ]
      : []),
    ...legacy,
  ]
}
