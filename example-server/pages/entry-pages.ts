import { CODE_MINUTES } from '../mail-codes.ts'
import { listedCountries } from '../profile.ts'
import { described, focused, form, input, mailHint, problemBox, type PageContext } from './form.ts'
import { Html, html } from './html.ts'
import { layout } from './layout.ts'

/** The button that cancels the sign-in, if an app sent the person. */
export function cancel(context: PageContext): Html | undefined {
  const { app } = context
  if (app === undefined) return undefined
  return form(context, 'cancel', html`<button class="plain">Cancel and go back to ${app.name}</button>`)
}

const EMAIL = { name: 'email', label: 'Email address', type: 'email', attributes: 'maxlength="254"' }
const NEW_PASSWORD = {
  type: 'password',
  autocomplete: 'new-password',
  attributes: 'minlength="12" maxlength="128"',
  hint: 'At least 12 characters, and not a common password. A whole sentence works well.',
}

export function signInPage(context: PageContext): string {
  const { app, base } = context
  return layout(
    'Sign in',
    html`<h1>Sign in</h1>
      ${
        app === undefined
          ? html`<p>Sign in to see your sessions, apps, password and second factor.</p>`
          : html`<p><strong>${app.name}</strong> asks you to sign in.</p>`
      }
      ${problemBox(context)}
      ${form(
        context,
        'sign-in',
        html`${input(context, { ...EMAIL, autocomplete: 'username', first: true })}
          ${input(context, { name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password', attributes: 'maxlength="512"' })}
          <button>Sign in</button>`,
      )}
      <p>New here? <a href="${base}/sign-up">Create an account</a></p>
      <p>Forgot your password? <a href="${base}/reset">Choose a new one</a></p>
      ${cancel(context)}`,
  )
}

const LANGUAGES = ['en', 'de', 'es', 'fr', 'it', 'nl', 'pl']

export function signUpPage(context: PageContext): string {
  const { app, base, typed } = context
  // A form begun at another location lacks only the password.
  const isBegun = typed?.['email'] !== undefined
  const languages = new Intl.DisplayNames(['en'], { type: 'language' })
  const option = (value: string, label: string | undefined, chosen: string | undefined): Html =>
    html`<option value="${value}" ${new Html(value === chosen ? 'selected' : '')}>${label}</option>`
  return layout(
    'Create an account',
    html`<h1>Create an account</h1>
      <p>
        ${app !== undefined && html`You can use it to sign in to <strong>${app.name}</strong>.`} You decide
        later what to share with an app.
      </p>
      ${problemBox(context)}
      ${form(
        context,
        'sign-up',
        html`${input(context, { ...EMAIL, autocomplete: 'username', first: !isBegun })}
          ${input(context, { ...NEW_PASSWORD, name: 'password', label: 'Password', first: isBegun })}
          ${input(context, { name: 'firstname', label: 'First name', autocomplete: 'given-name', attributes: 'maxlength="100"' })}
          ${input(context, { name: 'surname', label: 'Last name', autocomplete: 'family-name', attributes: 'maxlength="100"' })}
          <label for="country">Citizenship</label>
          <select
            id="country"
            name="country"
            required
            ${described(context, 'country', true)}
            ${focused(context, 'country')}
          >
            <option value="">Choose …</option>
            ${listedCountries().map(([code, name]) => option(code, name, typed?.['country']))}
          </select>
          <p class="hint" id="country-hint">
            It decides where your data is stored: in London and Frankfurt for Europeans, in Dallas for
            everyone else.
          </p>
          <label for="language">Language</label>
          <select id="language" name="language" required>
            ${LANGUAGES.map((code) => option(code, languages.of(code), typed?.['language'] ?? 'en'))}
          </select>
          ${input(context, { name: 'image', label: 'Address of a picture', type: 'url', optional: true, attributes: 'placeholder="https://…" maxlength="500"' })}
          <button>Create an account</button>`,
      )}
      <p>Already have an account? <a href="${base}/sign-in">Sign in</a></p>
      ${cancel(context)}`,
  )
}

const codeInput = (context: PageContext, label: string): Html =>
  input(context, {
    name: 'code',
    label,
    autocomplete: 'one-time-code',
    attributes: 'inputmode="numeric" maxlength="12"',
    first: true,
  })

export function confirmPage(context: PageContext, email: string): string {
  return layout(
    'Check your email',
    html`<h1>Check your email</h1>
      <p>
        We have sent an email to <strong>${email}</strong>. It contains a code that works for
        ${String(CODE_MINUTES)} minutes in this browser.
      </p>
      ${mailHint(context)} ${problemBox(context)}
      ${form(context, 'confirm', html`${codeInput(context, 'Code from the email')}<button>Confirm</button>`)}
      <p>No email, or the wrong address? <a href="${context.base}/sign-up">Start again</a></p>
      ${cancel(context)}`,
  )
}

export function resetPage(context: PageContext): string {
  return layout(
    'Choose a new password',
    html`<h1>Choose a new password</h1>
      <p>Enter the email address of your account. If there is such an account, we will email you a code.</p>
      ${problemBox(context)}
      ${form(context, 'reset', html`${input(context, { ...EMAIL, autocomplete: 'username', first: true })}<button>Send the code</button>`)}
      <p><a href="${context.base}/sign-in">Back to sign-in</a></p>
      ${cancel(context)}`,
  )
}

export function newPasswordPage(context: PageContext, email: string): string {
  return layout(
    'Choose a new password',
    html`<h1>Choose a new password</h1>
      <p>
        If there is an account for <strong>${email}</strong>, we have sent a code to this address. The code
        works for ${String(CODE_MINUTES)} minutes in this browser.
      </p>
      ${mailHint(context)} ${problemBox(context)}
      ${form(
        context,
        'new-password',
        html`<input type="hidden" name="username" autocomplete="username" value="${email}" />
          ${codeInput(context, 'Code from the email')}
          ${input(context, { ...NEW_PASSWORD, name: 'password', label: 'New password' })}
          <button>Set the password</button>`,
      )}
      <p>No email, or the wrong address? <a href="${context.base}/reset">Start again</a></p>
      ${cancel(context)}`,
  )
}

export function secondFactorPage(context: PageContext): string {
  return layout(
    'Second step',
    html`<h1>Second step</h1>
      <p>Enter a code from the authenticator app that you set up for your account.</p>
      ${problemBox(context)}
      ${form(
        context,
        'second-factor',
        html`${input(context, {
            name: 'code',
            label: 'Code',
            autocomplete: 'one-time-code',
            attributes: 'maxlength="60" autocapitalize="none" spellcheck="false"',
            hint: 'Six digits from the app, or one of your recovery codes if you have lost the device.',
            first: true,
          })} <button>Continue</button>`,
      )}
      ${form(context, 'sign-out', html`<button class="plain">Use another account</button>`)}
      ${cancel(context)}`,
  )
}
