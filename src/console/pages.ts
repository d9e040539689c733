import { brotliDecompressSync } from 'node:zlib'
import type { GuardRequest, GuardResponse } from '../http/handler.ts'
import { DASHBOARD_FILES, type DashboardFile } from './dashboard-files.ts'

interface Page {
  readonly type: string
  readonly compressed: Buffer
  /** Created for the first client that does not accept Brotli. */
  plain?: Buffer
  /** Whether its name changes with its content. */
  readonly isNamedByContent: boolean
  readonly tag: string
}

let pages: ReadonlyMap<string, Page> | undefined

/** Unpacked on first use, because an app that mounts the console may never show it. */
function allPages(): ReadonlyMap<string, Page> {
  return (pages ??= new Map(DASHBOARD_FILES.map((file) => [file.path, pageOf(file)])))
}

function pageOf({ path, type, digest, brotli }: DashboardFile): Page {
  return {
    type,
    compressed: Buffer.from(brotli, 'base64'),
    isNamedByContent: path.includes(digest),
    tag: `"${digest}"`,
  }
}

/** Answers with a file of the dashboard; `false` if there is no such file. */
export function sendPage(req: GuardRequest, res: GuardResponse, path: string): boolean {
  const page = allPages().get(path === '/' ? '/index.html' : path)
  if (page === undefined || (req.method !== 'GET' && req.method !== 'HEAD')) return false
  res.setHeader('Content-Type', page.type)
  res.setHeader('ETag', page.tag)
  res.setHeader('Vary', 'Accept-Encoding')
  res.setHeader('Cache-Control', page.isNamedByContent ? 'public, max-age=31536000, immutable' : 'no-cache')
  if (req.headers['if-none-match'] === page.tag) {
    res.statusCode = 304
    res.end()
    return true
  }
  const takesBrotli = /(?:^|[\s,])br(?:$|[\s,;])/.test(req.headers['accept-encoding'] ?? '')
  if (takesBrotli) res.setHeader('Content-Encoding', 'br')
  const bytes = takesBrotli ? page.compressed : (page.plain ??= brotliDecompressSync(page.compressed))
  res.setHeader('Content-Length', bytes.length)
  res.end(req.method === 'HEAD' ? undefined : bytes)
  return true
}
