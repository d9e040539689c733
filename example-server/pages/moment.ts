import { html, type Html } from './html.ts'

/** A time in UTC, which does not depend on the time zone of the server. */
export const moment = (at: number): Html => {
  const iso = new Date(at).toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 16).replace('T', ' ')} UTC</time>`
}
