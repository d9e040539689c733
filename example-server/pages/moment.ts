import { html, type Html } from './html.ts'

/** A moment as everybody reads it, whatever the server's clock shows. */
export const moment = (at: number): Html => {
  const iso = new Date(at).toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 16).replace('T', ' ')} UTC</time>`
}
