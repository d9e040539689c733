// Bundles src/console/dashboard/ for browsers, and writes the result to src/console/dashboard-files.ts.
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'
import { build } from 'esbuild'
import { DASHBOARD_FILES } from '../src/console/dashboard-files.ts'

interface BundledFile {
  readonly path: string
  readonly type: string
  readonly digest: string
  readonly content: string
}

interface Bundle {
  readonly files: readonly BundledFile[]
  /** The paths of the bundled modules, relative to the root. */
  readonly inputs: readonly string[]
}

/**
 * The files of the dashboard: a page, a script, a style sheet and an icon. The same sources always give the same bytes.
 */
export async function bundleDashboard(root: string): Promise<Bundle> {
  const folder = join(root, 'src', 'console', 'dashboard')
  const common = {
    absWorkingDir: root,
    bundle: true,
    minify: true,
    write: false,
    charset: 'utf8',
    preserveSymlinks: true,
    metafile: true,
    logLevel: 'warning',
    target: ['es2022', 'chrome111', 'firefox115', 'safari16.4'] as string[],
  } as const
  const [script, style] = await Promise.all([
    build({
      ...common,
      entryPoints: [join(folder, 'main.tsx')],
      format: 'esm',
      platform: 'browser',
      jsx: 'automatic',
      jsxImportSource: 'preact',
      legalComments: 'none',
    }),
    build({ ...common, entryPoints: [join(folder, 'style.css')] }),
  ])
  const code = named('js', 'text/javascript; charset=utf-8', script.outputFiles[0]?.text ?? '')
  const css = named('css', 'text/css; charset=utf-8', style.outputFiles[0]?.text ?? '')
  const [page, icon] = await Promise.all(
    ['index.html', 'icon.svg'].map((name) => readFile(join(folder, name), 'utf8')),
  )
  const html = (page ?? '').replace('./SCRIPT', `.${code.path}`).replace('./STYLE', `.${css.path}`)
  return {
    files: [
      { path: '/index.html', type: 'text/html; charset=utf-8', digest: digestOf(html), content: html },
      code,
      css,
      { path: '/icon.svg', type: 'image/svg+xml', digest: digestOf(icon ?? ''), content: icon ?? '' },
    ],
    inputs: Object.keys(script.metafile.inputs),
  }
}

/** A file whose name changes with its content, so that browsers may cache it forever. */
function named(extension: string, type: string, content: string): BundledFile {
  const digest = digestOf(content)
  return { path: `/console-${digest}.${extension}`, type, digest, content }
}

const digestOf = (content: string): string =>
  createHash('sha256').update(content).digest('base64url').replaceAll(/[-_]/g, '').slice(0, 12)

/**
 * Whether dashboard-files.ts contains these files. Compares digests, because Brotli's output depends on the version of
 * Node.
 */
export function isKept({ files }: Bundle): boolean {
  const kept = new Map(DASHBOARD_FILES.map(({ path, digest }) => [path, digest]))
  return kept.size === files.length && files.every(({ path, digest }) => kept.get(path) === digest)
}

/** Writes dashboard-files.ts, unless it already contains these files. */
export async function keepDashboard(root: string, bundle: Bundle): Promise<void> {
  if (isKept(bundle)) return
  const rows = bundle.files.map(({ path, type, digest, content }) => {
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 }
    const brotli = brotliCompressSync(content, { params }).toString('base64')
    return `  { path: '${path}', type: '${type}', digest: '${digest}', brotli: '${brotli}' },\n`
  })
  await writeFile(join(root, 'src', 'console', 'dashboard-files.ts'), `${HEAD}${rows.join('')}]\n`)
}

const HEAD = `// Generated from src/console/dashboard/ by \`npm run dashboard\`. Do not edit.
export interface DashboardFile {
  readonly path: string
  readonly type: string
  /** The digest of the content. */
  readonly digest: string
  /** The content, compressed with Brotli, in base64. */
  readonly brotli: string
}

export const DASHBOARD_FILES: readonly DashboardFile[] = [
`
