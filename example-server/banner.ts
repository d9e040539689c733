import { DEMO_BROWSER_APP, DEMO_SERVER_APP, KEY_ID, SHOP, type DemoFacts } from './demo-apps.ts'
import { nameOf } from './pages/home-page.ts'
import type { Settings } from './settings.ts'
import type { Ukey1 } from './ukey1.ts'

export interface BannerFacts {
  readonly instances: readonly { readonly location: string; readonly url: string }[]
  /** None in production. */
  readonly demo: DemoFacts | undefined
  readonly notes: readonly string[]
  readonly whyToken: string | undefined
  /** Not printed in production. */
  readonly consoleToken: string | undefined
}

/** What is printed when the server is up. */
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
      ? '   (the secret of the demo server app was printed when it was made; set DEMO_SECRET to it)\n' +
        `   node --import tsx example-server/connect.ts ${url}`
      : `   DEMO_SECRET='${secret}' node --import tsx example-server/connect.ts ${url}`
  return `
Sign in as a person, through a browser app:  ${url}/demo

Demo apps
  ${DEMO_SERVER_APP}   calls from a server; key id ${KEY_ID}${secret === undefined ? '' : `, secret ${secret}`}
  ${DEMO_BROWSER_APP}  calls from a browser; it has no secret, its origin protects it

Paste into another terminal, in this folder:

1. A signed request of the server app. It passes (200) and prints a link. Sign in there: it then prints token and me
${signed}

2. The same without a signature. Refused: 401 SIGNATURE_REQUIRED
   ${curl(`x-app-id: ${DEMO_SERVER_APP}`, `x-origin: ${SHOP}`)} -d ${body(`${SHOP}/callback/`)} ${connect}

3. The browser app from a foreign page. Refused: 403 ORIGIN_NOT_ALLOWED
   ${curl(`x-app-id: ${DEMO_BROWSER_APP}`, 'origin: https://evil.example')} -d ${body(`${origin}/demo/callback/`)} ${connect}

4. The browser app, to send the person elsewhere. Refused: 400 RETURN_URL_NOT_ALLOWED
   ${curl(`x-app-id: ${DEMO_BROWSER_APP}`, `origin: ${origin}`)} -d ${body('https://evil.example/', { code_challenge: challenge })} ${connect}

5. Why the last request was refused, with what the policy says. This works in development only
   curl -H 'authorization: Bearer ${whyToken}' ${url}/why
`
}

/** What the operator should know of this start. */
export async function notesOf(settings: Settings, ukey1: Ukey1 | undefined): Promise<string[]> {
  const legacy = await Promise.all(
    settings.ukey1Apps.map(async (app) => {
      const secretKey = await ukey1?.issue(app)
      return `legacy: ${app} may sign by the scheme of Ukey1${secretKey === undefined ? '' : ` for 90 days; its Secret Key: ${secretKey}`}`
    }),
  )
  const [region] = settings.regions
  return [
    settings.redisUrl === undefined
      ? 'embedded store: everything is forgotten when the server stops (REDIS_URL keeps it in Redis)'
      : 'store: Redis',
    Object.keys(settings.regionRedisUrls).length === 0
      ? 'the people of all jurisdictions are in one store (REDIS_LONDON_URL, REDIS_FRANKFURT_URL and REDIS_DALLAS_URL keep them apart)'
      : `people are kept by citizenship, in the Redis of ${Object.keys(settings.regionRedisUrls).join(', ')} (/regions shows which holds what)`,
    settings.regions.length > 1
      ? 'London and Frankfurt serve the citizens of Europe, Dallas those of all other countries (REGION runs one of them)'
      : `this instance runs in ${region} (REGION): it serves the citizens of ${region === 'dallas' ? 'the world outside Europe' : 'Europe'}`,
    ...(settings.smtpUrl === undefined ? ['mails are printed here (SMTP_URL sends them)'] : []),
    ...(settings.secretsAreTemporary
      ? ['SECRET_KEY is not set: a key was generated for this run, so stored data cannot be read after it']
      : []),
    ...legacy,
  ]
}
