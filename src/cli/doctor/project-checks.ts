import { resolve } from 'node:path'
import { UK_ADEQUACY } from '../../jurisdiction/countries.ts'
import { endOf } from '../../jurisdiction/day.ts'
import { fail, pass, skip, warn, type Check, type Finding } from '../checks.ts'
import { textOf, type Invocation } from '../command.ts'
import { counted } from '../output.ts'
import { inspectProject, type Mount, type Project } from '../project.ts'

/** The checks of the sources of an application, as far as the sources show it. */
export async function projectChecks({ values, directory }: Invocation): Promise<readonly Check[]> {
  const folder = textOf(values, 'project')
  const project = await inspectProject(resolve(directory, folder ?? '.'))
  if (project === undefined) {
    const finding = skip(
      `there is no package.json ${folder === undefined ? 'here; give `--project`' : `in ${folder}`}`,
    )
    return Object.keys(JUDGES).map((id) => ({ id, ...finding }))
  }
  return Object.entries(JUDGES).map(([id, judge]) => ({ id, ...judge(project) }))
}

const JUDGES: Readonly<Record<string, (project: Project) => Finding>> = {
  express: judgeExpress,
  proxy: judgeProxy,
  'guard-order': judgeOrder,
  secrets: judgeSecrets,
  checkpoints: judgeCheckpoints,
  adequacy: judgeAdequacy,
}

function judgeExpress({ express }: Project): Finding {
  if (express === undefined) return skip('Express is not a dependency')
  const [major = 0, minor = 0] = (/(\d+)(?:\.(\d+))?/.exec(express)?.slice(1) ?? []).map(Number)
  if (major === 5 || (major === 4 && minor >= 22)) return pass(`Express ${express}`)
  return fail(`Express ${express} is not supported`, 'install Express 4.22 or 5')
}

function judgeProxy({ trustProxy, applications }: Project): Finding {
  const docs = 'docs/proxies.md'
  const all = trustProxy.find(({ text }) => text.trim() === 'true')
  if (all !== undefined)
    return fail(
      `${all.file}:${all.line} trusts every proxy: callers can forge their address`,
      'set `trust proxy` to the subnets of your proxies',
      docs,
    )
  const hops = trustProxy.find(({ text }) => /^\d+$/.test(text.trim()))
  if (hops !== undefined)
    return warn(
      `${hops.file}:${hops.line} trusts a number of hops: a caller who bypasses a proxy can forge its address`,
      'set `trust proxy` to the subnets of your proxies',
      docs,
    )
  const [first] = trustProxy
  if (first !== undefined)
    return pass(`${first.file}:${first.line} sets \`trust proxy\` to ${first.text.trim()}`)
  if (applications.length === 0) return skip('the sources contain no Express application')
  return skip(
    '`trust proxy` is not set in the sources, which is correct if no proxy is in front of the service',
  )
}

/** The order in docs/placement.md. */
const ORDER = [
  'auditAccess',
  'regionPin',
  'ipWhitelist',
  'domainProtect',
  'bodyParsers',
  'serverOnly',
  'returnUrlGuard',
]

function judgeOrder({ mounts }: Project): Finding {
  const docs = 'docs/placement.md#the-order'
  for (const { file, line, guards } of mounts) {
    const places = guards.filter((name) => name !== 'protect').map((name) => ORDER.indexOf(name))
    const index = places.findIndex((place, at) => at > 0 && place < (places[at - 1] ?? 0))
    if (index > 0)
      return warn(
        `${file}:${line} mounts \`${ORDER[places[index - 1] ?? 0] ?? ''}\` before \`${ORDER[places[index] ?? 0] ?? ''}\``,
        `mount them in this order: ${ORDER.join(', ')}; or use \`protect()\``,
        docs,
      )
  }
  const beside = judgeBeside(mounts)
  if (beside !== undefined) return beside
  const seen = mounts.filter(({ guards }) => guards.includes('protect') || guards.length > 1)
  const [first] = seen
  if (first === undefined) return skip('the sources never mount several guards in one call')
  return pass(
    `${first.file}:${first.line}${seen.length > 1 ? ` and ${counted(seen.length - 1, 'other place')}` : ''}: the guards of each call are in the right order, ` +
      'and the same file mounts neither `cors()` next to them nor a body parser before them; other files were not compared',
  )
}

/** What the same file mounts in addition to guards and that conflicts with them. */
function judgeBeside(mounts: readonly Mount[]): Finding | undefined {
  for (const file of new Set(mounts.map((mount) => mount.file))) {
    const calls = mounts.filter((mount) => mount.file === file)
    const finding = judgeParsers(calls) ?? judgeCors(calls)
    if (finding !== undefined) return finding
  }
  return undefined
}

/** A parser before `serverOnly` consumes the signed bytes. No parser after it can bring them back. */
function judgeParsers(calls: readonly Mount[]): Finding | undefined {
  for (const [at, { file, line, path, guards }] of calls.entries()) {
    const index = guards.findIndex((name) => name === 'serverOnly' || name === 'protect')
    if (index === -1) continue
    const reachable = calls.slice(0, at + 1).filter((call) => overlap(call.path, path))
    for (const call of reachable) {
      const most = call === calls[at] ? index : call.guards.length
      const parser = call.others.find(({ name, after }) => name !== 'cors' && after <= most)
      const keeps = call.guards.indexOf('bodyParsers')
      // `bodyParsers()` ran first and kept the bytes for everything after it.
      if (keeps !== -1 && keeps < (parser?.after ?? most + 1)) break
      if (parser !== undefined)
        return warn(
          `${file}:${call.line} mounts \`${parser.name}()\` before \`${guards[index] ?? ''}\` in line ${line}: signed requests with content are refused`,
          'mount `bodyParsers()` in place of it, or call `keepBody` in its option `verify`',
          'docs/placement.md',
        )
    }
  }
  return undefined
}

/** Whether a request can match both paths. */
function overlap(one: string, other: string): boolean {
  const [short, long] = [one, other].map((path) => `${path}/`.replaceAll(/\/+/g, '/')).toSorted() as [
    string,
    string,
  ]
  return long.startsWith(short)
}

function judgeCors(calls: readonly Mount[]): Finding | undefined {
  const withCors = calls.filter(({ others }) => others.some(({ name }) => name === 'cors'))
  const guarded = calls.filter(({ guards }) => guards.includes('domainProtect') || guards.includes('protect'))
  const [cors, guard] =
    withCors
      .flatMap((one) => guarded.map((other) => [one, other] as const))
      .find(([one, other]) => overlap(one.path, other.path)) ?? []
  if (cors === undefined || guard === undefined) return undefined
  const name = guard.guards.includes('protect') ? 'protect' : 'domainProtect'
  return warn(
    `${cors.file}:${cors.line} mounts \`cors()\`, and line ${guard.line} mounts \`${name}\`: both write the CORS headers`,
    'remove `cors()` from the routes that the guards protect: `domainProtect` does its work',
    'docs/placement.md',
  )
}

function judgeSecrets({ secrets }: Project): Finding {
  const [first, ...others] = secrets
  if (first === undefined) return pass('the sources contain no value of a secret that could be recognised')
  const more =
    others.length === 0 ? '' : `, and there ${others.length === 1 ? 'is' : 'are'} ${others.length} more`
  return fail(
    `${first.file}:${first.line} contains the value of \`${first.text}\`${more}`,
    'replace the secret by a new one, and read it from the environment or from a file',
  )
}

function judgeCheckpoints({ uses }: Project): Finding {
  const log = uses.get('auditLog')
  if (log === undefined) return skip('the sources do not create an audit log with `auditLog()`')
  const sealer = uses.get('createSealer')
  if (sealer !== undefined) return pass(`${sealer.file}:${sealer.line} publishes signed checkpoints`)
  return warn(
    `${log.file}:${log.line} creates an audit log, and nothing in the sources publishes checkpoints of it: without them, someone who controls Redis can cut it off or replace it unnoticed`,
    'run `createSealer()` here or in another process, and publish its checkpoints outside of Redis',
    'docs/audit.md',
  )
}

/** How early the end of an adequacy decision is reported, in days. */
const AHEAD = 180

function judgeAdequacy({ uses }: Project): Finding {
  const docs = 'docs/regions.md'
  const place = ['regionPin', 'regionalStore', 'protect'].flatMap((name) => uses.get(name) ?? [])[0]
  if (place === undefined) return skip('the sources use no regions')
  const own = uses.get('jurisdictions')
  if (own !== undefined)
    return skip(`${own.file}:${own.line} has jurisdictions of its own; only the default ones are checked`)
  const { until } = UK_ADEQUACY
  const days = Math.ceil(((endOf(until) ?? 0) - Date.now()) / 86_400_000)
  const fix = 'set `jurisdictions` with the locations that may serve Europe from then on'
  if (days <= 0)
    return fail(`London may no longer serve Europe: its adequacy decision ended on ${until}`, fix, docs)
  if (days <= AHEAD)
    return warn(`London may serve Europe only until ${until}, ${counted(days, 'more day')}`, fix, docs)
  return pass(`London may serve Europe until ${until}`)
}
