// Generates src/console/dashboard-files.ts from src/console/dashboard/. `npm run build` does this too.
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleDashboard, keepDashboard } from './dashboard-bundle.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
await keepDashboard(root, await bundleDashboard(root))
