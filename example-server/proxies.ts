import type { RequestHandler } from 'express'
import { CLOUDFLARE } from './cloudflare.ts'
import { HEALTH_PATHS } from './health.ts'
import { sendProblem } from './problems.ts'

/** Refuses callers that connect directly, except for health and metrics. */
export const onlyProxies: RequestHandler = (req, res, next) => {
  // Express compiles its setting to this function.
  const trusts = req.app.get('trust proxy fn') as (address: string, hop: number) => boolean
  if (HEALTH_PATHS.has(req.path) || trusts(req.socket.remoteAddress ?? '', 0)) next()
  else sendProblem(req, res, 'PROXY_REQUIRED')
}

const YEAR = 365 * 86_400_000

/** What the operator should know about the proxies in front. */
export function notesOfProxies(
  {
    trustProxy,
    onlyProxies: isClosed,
  }: { readonly trustProxy: readonly string[]; readonly onlyProxies: boolean },
  now = Date.now(),
): string[] {
  const usesPreset = CLOUDFLARE.ranges.every((range) => trustProxy.includes(range))
  const notes: string[] = []
  if (isClosed)
    notes.push(
      `only the proxies in TRUST_PROXY can call this server: other callers get 403, except for ${[...HEALTH_PATHS].join(', ')}`,
    )
  else if (usesPreset)
    notes.push(
      'WARNING: somebody who finds the address of this server can bypass Cloudflare (remove ONLY_PROXIES=false)',
    )
  if (usesPreset && now - Date.parse(CLOUDFLARE.asOf) > YEAR)
    notes.push(
      `WARNING: the addresses of Cloudflare are those of ${CLOUDFLARE.asOf}: compare them with ${CLOUDFLARE.source}`,
    )
  return notes
}
