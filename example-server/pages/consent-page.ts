import type { Connection } from '../connections.ts'
import type { Field, Person } from '../people.ts'
import { cancel } from './entry-pages.ts'
import { described, focused, form, problemBox, type PageContext } from './form.ts'
import { Html, html } from './html.ts'
import { layout } from './layout.ts'

export const LABELS: Readonly<Record<Field, string>> = {
  firstname: 'First name',
  surname: 'Last name',
  email: 'Email address',
  image: 'Picture',
  country: 'Citizenship',
  language: 'Language',
}

/** The name of a country or language code; other values unchanged. */
export function worded(field: Field, value: string): string {
  if (value === '' || (field !== 'country' && field !== 'language')) return value
  return (
    new Intl.DisplayNames(['en'], { type: field === 'country' ? 'region' : 'language' }).of(value) ?? value
  )
}

export function consentPage(context: PageContext, connection: Connection, person: Person): string {
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
            Only what you tick and what is required is shared. You then return to
            <strong>${targetOf(connection)}</strong>.
          </p>
          <button>Share and continue</button>`,
      )}
      ${form(context, 'sign-out', html`<button class="plain">Use another account</button>`)}
      ${cancel(context)}`,
    { signedIn: true },
  )
}

/** The host that the person returns to, or the scheme if the return URL has no host. */
function targetOf({ returnUrl }: Connection): string {
  const { protocol, host } = new URL(returnUrl)
  return host === '' ? protocol : host
}

/** For an account without a picture. */
function imageInput(context: PageContext, mandatory: boolean): Html {
  return html`<label class="inner" for="image-address"
      >Your account has no picture. Address of a picture</label
    >
    <input
      id="image-address"
      name="image-address"
      type="url"
      placeholder="https://…"
      maxlength="500"
      ${new Html(mandatory ? 'required' : '')}
      value="${context.typed?.['image-address']}"
      ${described(context, 'image-address', false)}
      ${focused(context, 'image-address')}
    />`
}
