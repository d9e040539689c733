import { MOST_ACCESSES, type Access } from '../access-log.ts'
import type { Field } from '../people.ts'
import { LABELS } from './consent-page.ts'
import type { PageContext } from './form.ts'
import { html, type Html } from './html.ts'
import { layout } from './layout.ts'
import { moment } from './moment.ts'

/** The page that shows a person who has used their data. */
export function accessLogPage({ base }: PageContext, accesses: readonly Access[]): string {
  return layout(
    'Who has used your data',
    html`<h1>Who has used your data</h1>
      ${
        accesses.length === 0
          ? html`<p>Nobody has used your data yet.</p>`
          : html`<p class="hint">
                Up to ${String(MOST_ACCESSES)} requests, newest first. They include the pages that showed you
                your own data.
              </p>
              <ol class="rows">
                ${accesses.map(row)}
              </ol>`
      }
      <p><a href="${base}">Back to your account</a></p>`,
    { signedIn: true },
  )
}

const labelOf = (field: string): string => (field === 'id' ? 'Identifier' : (LABELS[field as Field] ?? field))

function row({ time, app, signInTo, by, what, fields, why, operation }: Access): Html {
  const labels = fields.map(labelOf)
  return html`<li>
    <div>
      <strong>${app}</strong
      >${signInTo !== undefined && `, on its page for signing in to ${signInTo}`}${by === 'staff' && ', a member of staff'}:
      ${what} ${labels.join(', ') || 'no field'}<br />
      ${why !== undefined && html`Why: ${why}<br />`}
      <span class="hint"
        >${moment(Date.parse(time))}${operation !== undefined && html`, <code>${operation}</code>`}</span
      >
    </div>
  </li>`
}
