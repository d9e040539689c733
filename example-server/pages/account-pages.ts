import type { GrantedApp } from '../connections.ts'
import { FIELDS, type Person } from '../people.ts'
import type { ListedSession } from '../sessions.ts'
import { LABELS, worded } from './consent-page.ts'
import { form, input, problemBox, type PageContext } from './form.ts'
import { html, type Html } from './html.ts'
import { layout } from './layout.ts'
import { moment } from './moment.ts'

export interface AccountView {
  readonly person: Person
  readonly hasSecondFactor: boolean
  readonly recoveryCodesLeft: number
  readonly sessions: readonly ListedSession[]
  /** The name of the session in which the page is shown. */
  readonly here: string
  readonly apps: readonly GrantedApp[]
  /** A message about the change that was just made. */
  readonly done: string | undefined
}

export function accountPage(context: PageContext, view: AccountView): string {
  const { person, done } = view
  return layout(
    'Your account',
    html`<h1>Your account</h1>
      ${done !== undefined && html`<p class="done" role="status" id="done" tabindex="-1" autofocus>${done}</p>`}
      <dl class="facts">
        ${FIELDS.map(
          (field) =>
            html`<dt>${LABELS[field]}</dt>
              <dd>${worded(field, person[field]) || '–'}</dd>`,
        )}
      </dl>
      ${sessionsSection(context, view)} ${appsSection(context, view)} ${securitySection(context, view)}
      ${deleteSection(context)} ${form(context, 'sign-out', html`<button class="plain">Sign out</button>`)}`,
    { signedIn: true },
  )
}

function sessionsSection(context: PageContext, { sessions, here }: AccountView): Html {
  return html`<h2>Sessions</h2>
    <p class="hint">
      Browsers in which you are signed in. You are signed out after 30 minutes without activity.
    </p>
    <ul class="rows">
      ${sessions.map(({ name, browser, began }) =>
        name === here
          ? html`<li>
              <div><strong>${browser}</strong>, this browser<br />since ${moment(began)}</div>
            </li>`
          : html`<li>
              <div><strong>${browser}</strong><br />since ${moment(began)}</div>
              ${form(context, 'end-session', html`<input type="hidden" name="session" value="${name}" /><button class="small" aria-label="End the session of ${browser} since ${new Date(began).toISOString().slice(0, 16)}">End</button>`)}
            </li>`,
      )}
    </ul>
    ${sessions.length > 1 && form(context, 'end-other-sessions', html`<button class="plain">End all other sessions</button>`)}`
}

function appsSection(context: PageContext, { apps }: AccountView): Html {
  return html`<h2>Apps</h2>
    ${
      apps.length === 0
        ? html`<p>You have shared nothing with an app in the last 90 days.</p>`
        : html`<ul class="rows">
            ${apps.map(
              ({ appId, appName, fields, at, open }) =>
                html`<li>
                  <div>
                    <strong>${appName}</strong>${open && ' can read now'}<br />
                    ${fields.length === 0 ? 'only that you have an account' : fields.map((field) => LABELS[field]).join(', ')}<br />
                    ${moment(at)}
                  </div>
                  ${form(context, 'revoke-app', html`<input type="hidden" name="app" value="${appId}" /><button class="small" aria-label="Revoke the access of ${appName}">Revoke</button>`)}
                </li>`,
            )}
          </ul>`
    }`
}

function securitySection(context: PageContext, { hasSecondFactor, recoveryCodesLeft }: AccountView): Html {
  return html`<h2>Security</h2>
    <ul class="rows">
      <li>
        <div><strong>Password</strong></div>
        <a href="${context.base}/password">Change the password</a>
      </li>
      <li>
        <div>
          <strong>Second factor</strong><br />
          ${hasSecondFactor ? `On; ${recoveryCodesLeft} recovery codes left` : 'Off'}
        </div>
        <a href="${context.base}/factor"
          >${hasSecondFactor ? 'Turn off the second factor' : 'Turn on a second factor'}</a
        >
      </li>
      <li>
        <div><strong>Your data</strong></div>
        <a href="${context.base}/access-log">See who has used your data</a>
      </li>
    </ul>`
}

function deleteSection(context: PageContext): Html {
  return html`<h2>Delete your account</h2>
    <p class="hint">Erases your profile and ends the access of every app. This cannot be undone.</p>
    <p><a href="${context.base}/delete">Delete your account</a></p>`
}

const back = (context: PageContext): Html => html`<p><a href="${context.base}">Back to your account</a></p>`

const currentPassword = (context: PageContext, first = false): Html =>
  input(context, {
    name: 'current',
    label: 'Current password',
    type: 'password',
    autocomplete: 'current-password',
    attributes: 'maxlength="512"',
    first,
  })

export function passwordPage(context: PageContext): string {
  return layout(
    'Change the password',
    html`<h1>Change the password</h1>
      <p>This ends all your other sessions. We will notify you by email.</p>
      ${problemBox(context)}
      ${form(
        context,
        'password',
        html`${currentPassword(context, true)}
          ${input(context, {
            name: 'password',
            label: 'New password',
            type: 'password',
            autocomplete: 'new-password',
            attributes: 'minlength="12" maxlength="128"',
            hint: 'At least 12 characters, and not a common password. A whole sentence works well.',
          })} <button>Change the password</button>`,
      )}
      ${back(context)}`,
    { signedIn: true },
  )
}

export function turnOnPage(context: PageContext, secret: string, link: string, picture: string): string {
  return layout(
    'Second factor',
    html`<h1>Turn on a second factor</h1>
      <p>
        Signing in will then require a six-digit code from an authenticator app (TOTP) as well as your
        password. Scan this QR code with the app,
        <a href="${link}">open the app on this device</a>, or type the key:
      </p>
      <img
        class="qr"
        src="${picture}"
        alt="QR code for an authenticator app; it contains the same key as below"
        width="220"
        height="220"
      />
      <p class="key"><code>${(secret.match(/.{1,4}/g) ?? []).join(' ')}</code></p>
      ${problemBox(context)}
      ${form(
        context,
        'factor-on',
        html`${input(context, {
            name: 'code',
            label: 'Code from the app',
            autocomplete: 'one-time-code',
            attributes: 'inputmode="numeric" maxlength="12"',
          })}
          ${currentPassword(context)} <button>Turn it on</button>`,
      )}
      ${back(context)}`,
    { signedIn: true },
  )
}

export function turnOffPage(context: PageContext): string {
  return layout(
    'Second factor',
    html`<h1>Turn off the second factor</h1>
      <p>You will then sign in with your password only.</p>
      ${problemBox(context)}
      ${form(context, 'factor-off', html`${currentPassword(context, true)}<button>Turn it off</button>`)}
      ${back(context)}`,
    { signedIn: true },
  )
}

export function deletePage(context: PageContext, hasSecondFactor: boolean): string {
  return layout(
    'Delete your account',
    html`<h1>Delete your account</h1>
      <p>This cannot be undone. These are erased at once:</p>
      <ul>
        <li>your profile and your email address</li>
        <li>your password, and your second factor if it is on</li>
        <li>your sessions: you are signed out in every browser</li>
        <li>what you have shared with apps: they can read nothing any more</li>
      </ul>
      <p>
        What an app has read before stays with that app. This gateway keeps its record of who used which kind
        of data, and when. It contains nothing of your profile, and network addresses in it are encrypted. It
        names you by a pseudonym, made from a random identifier, and what connects that identifier with you is
        erased.
      </p>
      <p>We will notify you by email. You can later create a new account with the same email address.</p>
      ${problemBox(context)}
      ${form(
        context,
        'delete',
        html`${currentPassword(context, true)}
          ${
            hasSecondFactor &&
            input(context, {
              name: 'code',
              label: 'Code',
              autocomplete: 'one-time-code',
              attributes: 'maxlength="60" autocapitalize="none" spellcheck="false"',
              hint: 'Six digits from the app, or one of your recovery codes if you have lost the device.',
            })
          } <button>Delete my account</button>`,
      )}
      ${back(context)}`,
    { signedIn: true },
  )
}

export function deletedPage(): string {
  return layout(
    'Account deleted',
    html`<h1>Account deleted</h1>
      <p class="done" role="status" id="done" tabindex="-1" autofocus>
        Your account was deleted. You are signed out in every browser.
      </p>
      <p><a href="/">Go to the front page</a></p>`,
  )
}

/** The recovery codes, which are shown only once. */
export function recoveryCodesPage(context: PageContext, codes: readonly string[]): string {
  return layout(
    'Recovery codes',
    html`<h1>The second factor is on</h1>
      <p>
        Keep these codes where you can find them without your phone. Each works once, instead of a code from
        the app. They will not be shown again.
      </p>
      <ol class="codes">
        ${codes.map((code) => html`<li><code>${code}</code></li>`)}
      </ol>
      <p><a class="button" href="${context.base}">I have saved them</a></p>`,
    { signedIn: true },
  )
}
