import { render } from 'preact'
import { findSession } from './api.ts'
import { Shell } from './shell/shell.tsx'

const root = document.querySelector('#console')
if (root !== null) render(<Shell />, root)
void findSession()
