import type { Field, Person } from './people.ts'
import type { Connection } from './connections.ts'

/** Text that is HTML already. */
class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** What may stand in a template; `undefined` and `false` stand for nothing. */
type Part = Html | string | false | undefined | readonly Part[]

/** A template in which everything is escaped that is not `Html` itself. */
function html(parts: TemplateStringsArray, ...values: readonly Part[]): Html {
  const text = parts.reduce(
    (sum, part, index) => sum + (index === 0 ? '' : render(values[index - 1])) + part,
    '',
  )
  return new Html(text)
}

function render(value: Part): string {
  if (value instanceof Html) return value.text
  if (value === undefined || value === false) return ''
  if (typeof value !== 'string') return value.map(render).join('')
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

const LABELS: Readonly<Record<Field, string>> = {
  firstname: 'First name',
  surname: 'Last name',
  email: 'Email address',
  image: 'Picture',
  country: 'Citizenship',
  language: 'Language',
}

function layout(title: string, body: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} – Example gateway</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="/assets/style.css" />
      </head>
      <body>
        <header><a href="/">Example gateway</a></header>
        <main>${body}</main>
        <footer>An example of <strong>Portcullis</strong>. Do not use a password of yours here.</footer>
      </body>
    </html>`.text
}

/** What a form page needs to know. */
export interface FormContext {
  readonly connection: Connection
  readonly csrf: string
  /** What was wrong with the last try. */
  readonly problem?: string | undefined
  /** The field that it is about. */
  readonly wrong?: string | undefined
  /** What was typed in the last try, without passwords. */
  readonly typed?: Readonly<Record<string, string>> | undefined
}

/** What is wrong, with a way to the field. */
function problemBox({ problem, wrong }: FormContext): Html | undefined {
  if (problem === undefined) return undefined
  const text = wrong === undefined ? problem : html`<a href="#${wrong}">${problem}</a>`
  return html`<p class="problem" id="problem" role="alert">${text}</p>`
}

/** Ties a field to its hint, and to the problem when that is about it. */
function described({ wrong }: FormContext, field: string, hint?: string): Html {
  const by = [...(wrong === field ? ['problem'] : []), ...(hint === undefined ? [] : [hint])].join(' ')
  return new Html(
    (wrong === field ? 'aria-invalid="true" ' : '') + (by === '' ? '' : `aria-describedby="${by}"`),
  )
}

function form(context: FormContext, action: string, content: Html): Html {
  return html`<form method="post" action="/gateway/${context.connection.id}/${action}">
    <input type="hidden" name="csrf" value="${context.csrf}" />${content}
  </form>`
}

function cancel(context: FormContext): Html {
  return form(
    context,
    'cancel',
    html`<button class="plain">Cancel and go back to ${context.connection.appName}</button>`,
  )
}

export function signInPage(context: FormContext): string {
  const { connection, typed } = context
  return layout(
    'Sign in',
    html`<h1>Sign in</h1>
      <p><strong>${connection.appName}</strong> wants to know who you are.</p>
      ${problemBox(context)}
      ${form(
        context,
        'sign-in',
        html`<label for="email">Email address</label>
          <input
            id="email"
            name="email"
            type="email"
            autocomplete="username"
            required
            value="${typed?.['email']}"
            ${described(context, 'email')}
          />
          <label for="password">Password</label>
          <input
            id="password"
            name="password"
            type="password"
            autocomplete="current-password"
            required
            ${described(context, 'password')}
          />
          <button>Sign in</button>`,
      )}
      <p>New here? <a href="/gateway/${connection.id}?form=sign-up">Make an account</a></p>
      ${cancel(context)}`,
  )
}

const LANGUAGES = ['en', 'de', 'es', 'fr', 'it', 'nl', 'pl']

export function signUpPage(context: FormContext, countries: readonly string[]): string {
  const { connection, typed } = context
  const names = new Intl.DisplayNames(['en'], { type: 'region' })
  const languages = new Intl.DisplayNames(['en'], { type: 'language' })
  const option = (value: string, label: string | undefined, chosen: string | undefined): Html =>
    html`<option value="${value}" ${new Html(value === chosen ? 'selected' : '')}>${label}</option>`
  const listed = countries
    .map((code): [string, string] => [code, names.of(code) ?? code])
    .sort(([, a], [, b]) => a.localeCompare(b))
  return layout(
    'Make an account',
    html`<h1>Make an account</h1>
      <p>
        With it you can sign in to <strong>${connection.appName}</strong>. You decide later what to share.
      </p>
      ${problemBox(context)}
      ${form(
        context,
        'sign-up',
        html`<label for="email">Email address</label>
          <input
            id="email"
            name="email"
            type="email"
            autocomplete="username"
            required
            maxlength="254"
            value="${typed?.['email']}"
            ${described(context, 'email')}
          />
          <label for="password">Password</label>
          <input
            id="password"
            name="password"
            type="password"
            autocomplete="new-password"
            required
            minlength="12"
            maxlength="128"
            ${described(context, 'password', 'password-hint')}
          />
          <p class="hint" id="password-hint">At least 12 characters. A sentence is a good one.</p>
          <label for="firstname">First name</label>
          <input
            id="firstname"
            name="firstname"
            autocomplete="given-name"
            required
            maxlength="100"
            value="${typed?.['firstname']}"
            ${described(context, 'firstname')}
          />
          <label for="surname">Last name</label>
          <input
            id="surname"
            name="surname"
            autocomplete="family-name"
            required
            maxlength="100"
            value="${typed?.['surname']}"
            ${described(context, 'surname')}
          />
          <label for="country">Citizenship</label>
          <select id="country" name="country" required ${described(context, 'country', 'country-hint')}>
            <option value="">Choose …</option>
            ${listed.map(([code, name]) => option(code, name, typed?.['country']))}
          </select>
          <p class="hint" id="country-hint">
            It decides where your data is kept: Europeans in London and Frankfurt, all others in Dallas.
          </p>
          <label for="language">Language</label>
          <select id="language" name="language" required>
            ${LANGUAGES.map((code) => option(code, languages.of(code), typed?.['language'] ?? 'en'))}
          </select>
          <label for="image">Address of a picture <span class="optional">(optional)</span></label>
          <input
            id="image"
            name="image"
            type="url"
            placeholder="https://…"
            maxlength="500"
            value="${typed?.['image']}"
            ${described(context, 'image')}
          />
          <button>Make an account</button>`,
      )}
      <p>You have an account? <a href="/gateway/${connection.id}">Sign in</a></p>
      ${cancel(context)}`,
  )
}

/** Codes as words. */
function worded(field: Field, value: string): string {
  if (value === '' || (field !== 'country' && field !== 'language')) return value
  return (
    new Intl.DisplayNames(['en'], { type: field === 'country' ? 'region' : 'language' }).of(value) ?? value
  )
}

export function consentPage(context: FormContext, person: Person): string {
  const { connection } = context
  const wishes = connection.wishes.map(({ field, mandatory }) => {
    const value = worded(field, person[field])
    return html`<li>
      <input
        type="checkbox"
        id="share-${field}"
        name="${field}"
        value="yes"
        ${new Html(mandatory ? 'checked disabled' : '')}
      />
      <div>
        <label for="share-${field}">
          ${LABELS[field]} ${mandatory && html`<span class="optional">(required)</span>`}
          ${value !== '' && html`<span class="value">${value}</span>`}
        </label>
        ${field === 'image' && value === '' && imageInput(context, mandatory)}
      </div>
    </li>`
  })
  return layout(
    'Share with an app',
    html`<h1>Share with ${connection.appName}?</h1>
      <p>You are signed in as <strong>${person.email}</strong>. ${connection.appName} asks for:</p>
      ${problemBox(context)}
      ${form(
        context,
        'consent',
        html`<ul class="wishes">
            ${wishes}
          </ul>
          <p class="hint">
            Nothing is shared that you do not tick, except what is required. After this you go back to
            <strong>${targetOf(connection)}</strong>.
          </p>
          <button>Share and continue</button>`,
      )}
      ${form(context, 'sign-out', html`<button class="plain">Use another account</button>`)}
      ${cancel(context)}`,
  )
}

/** Where the person goes after the answer, in the words of an address bar. */
function targetOf({ returnUrl }: Connection): string {
  const { protocol, host } = new URL(returnUrl)
  return host === '' ? protocol : host
}

/** For an account without a picture. */
function imageInput(context: FormContext, mandatory: boolean): Html {
  return html`<label class="inner" for="image-address">Your account has none. Address of a picture</label>
    <input
      id="image-address"
      name="image-address"
      type="url"
      placeholder="https://…"
      maxlength="500"
      ${new Html(mandatory ? 'required' : '')}
      value="${context.typed?.['image-address']}"
      ${described(context, 'image-address')}
    />`
}

/** A page that says why it goes no further. */
export function messagePage(title: string, text: string): string {
  return layout(
    title,
    html`<h1>${title}</h1>
      <p>${text}</p>`,
  )
}

export function homePage(apps: readonly { id: string; name: string }[], demoUrl: string): string {
  return layout(
    'Welcome',
    html`<h1>An identity gateway in small</h1>
      <p>
        Apps send people here to sign in. Each app is protected by its own policy, enforced by the six guards
        of Portcullis.
      </p>
      <p><a class="button" href="${demoUrl}">Try it as a person: the demo app</a></p>
      <h2>Demo apps</h2>
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
      <h2>Routes</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Route</th>
            <th scope="col">What it does</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <td><code class="route">POST /auth/v2/connect</code></td>
            <td>An app asks for a sign-in</td>
          </tr>
          <tr>
            <td><code class="route">GET /gateway/:connectId</code></td>
            <td>The person signs in and decides what to share</td>
          </tr>
          <tr>
            <td><code class="route">POST /auth/v2/token</code></td>
            <td>The app exchanges its one-time code for a token</td>
          </tr>
          <tr>
            <td><code class="route">GET /auth/v2/me</code></td>
            <td>The app reads what was shared</td>
          </tr>
          <tr>
            <td><code class="route">GET /healthz</code></td>
            <td>Is the process alive?</td>
          </tr>
        </tbody>
      </table>
      <p>The commands to try the guards with stand in the terminal where the server was started.</p>`,
  )
}

/** The demo browser app: a page that signs a person in through the gateway. Its script is /assets/demo.js. */
export function demoPage(): string {
  return layout(
    'Demo app',
    html`<h1>Demo shop</h1>
      <p>This page plays a browser app that lets people sign in through the gateway.</p>
      <button id="sign-in">Sign in with the gateway</button>
      <p id="state" role="status"></p>
      <dl id="me"></dl>`,
  ).replace('</body>', '<script src="/assets/demo.js"></script></body>')
}
