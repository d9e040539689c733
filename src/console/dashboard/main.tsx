import { render } from 'preact'
import { findSession } from './api.ts'
import { keepFocus } from './shell/keep-focus.ts'
import { Shell } from './shell/shell.tsx'

/** How long the page stays empty, in milliseconds, because a first page with "One moment" costs time too. */
const PATIENCE = 100

const root = document.querySelector('#console')
const started = findSession()
await Promise.race([started, new Promise((resolve) => setTimeout(resolve, PATIENCE))])
if (root !== null) {
  keepFocus(root)
  render(<Shell />, root)
}
