import { html } from './html.ts'
import { layout } from './layout.ts'

const ROUTES = [
  ['POST /auth/v2/connect', 'An app asks for a sign-in'],
  ['GET /gateway/:connectId', 'The person signs in and decides what to share'],
  ['POST /auth/v2/token', 'The app exchanges its one-time code for a token'],
  ['GET /auth/v2/me', 'The app reads what was shared'],
  ['GET /account', 'The person sees sessions and connected apps, ends them, and can delete the account'],
  ['GET /livez', 'Is the process alive?'],
  ['GET /readyz', 'Can it judge requests?'],
] as const

export interface HomeView {
  /** The demo apps; empty in production. */
  readonly apps: readonly { readonly id: string; readonly name: string }[]
  readonly location: string
  /** The instances of other locations. */
  readonly others: readonly { readonly location: string; readonly url: string }[]
  readonly hasConsole: boolean
  readonly hasRegions: boolean
}

export const nameOf = (location: string): string => location.charAt(0).toUpperCase() + location.slice(1)

export function homePage({ apps, location, others, hasConsole, hasRegions }: HomeView): string {
  return layout(
    'Welcome',
    html`<h1>A small identity gateway</h1>
      <p>
        Apps send people here to sign in. Each app is protected by its own policy, enforced by the six guards
        of Portcullis. This instance runs in <strong>${nameOf(location)}</strong>.
        ${others.length > 0 && html`Others: ${others.map(({ location, url }, index) => html`${index > 0 && ', '}<a href="${url}/">${nameOf(location)}</a>`)}.`}
      </p>
      ${apps.length > 0 && html`<p><a class="button" href="/demo">Try the demo shop</a></p>`}
      <p><a href="/account">Your account: sessions, apps, password, second factor</a></p>
      ${
        hasConsole &&
        html`<p>
          <a href="/console/">Console: apps, keys, policies, refused requests</a>, for operators. The token is
          in the terminal.
        </p>`
      }
      ${hasRegions && html`<p><a href="/regions">Regions: what each location stores</a></p>`}
      ${
        apps.length > 0 &&
        html`<h2>Demo apps</h2>
          <table>
            <thead>
              <tr>
                <th scope="col">App</th>
                <th scope="col">App id</th>
              </tr>
            </thead>
            <tbody>
              ${apps.map(
                ({ id, name }) =>
                  html`<tr>
                    <td>${name}</td>
                    <td><code>${id}</code></td>
                  </tr>`,
              )}
            </tbody>
          </table>
          <p>The terminal in which the server was started shows commands that try the guards.</p>`
      }
      <h2>Routes</h2>
      <dl>
        ${ROUTES.map(
          ([route, text]) =>
            html`<dt><code>${route}</code></dt>
              <dd>${text}</dd>`,
        )}
      </dl>`,
  )
}
