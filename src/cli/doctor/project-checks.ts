import { resolve } from 'node:path'
import { fail, pass, skip, warn, type Check, type Finding } from '../checks.ts'
import { textOf, type Invocation } from '../command.ts'
import { counted } from '../output.ts'
import { inspectProject, type Project } from '../project.ts'

/** What the sources of the application tell, as far as it can be seen in them. */
export async function projectChecks({ values, directory }: Invocation): Promise<readonly Check[]> {
  const folder = textOf(values, 'project')
  const project = await inspectProject(resolve(directory, folder ?? '.'))
  if (project === undefined) {
    const finding = skip(
      `there is no package.json ${folder === undefined ? 'here; give `--project`' : `in ${folder}`}`,
    )
    return ['express', 'proxy', 'guard-order'].map((id) => ({ id, ...finding }))
  }
  return [
    { id: 'express', ...judgeExpress(project) },
    { id: 'proxy', ...judgeProxy(project) },
    { id: 'guard-order', ...judgeOrder(project) },
  ]
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

/** The order of docs/placement.md. */
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
        `${file}:${line} mounts \`${ORDER[places[index - 1] ?? 0] ?? ''}\` ahead of \`${ORDER[places[index] ?? 0] ?? ''}\``,
        `mount them in this order: ${ORDER.join(', ')}; or use \`protect()\``,
        docs,
      )
  }
  const seen = mounts.filter(({ guards }) => guards.includes('protect') || guards.length > 1)
  const [first] = seen
  if (first === undefined) return skip('the sources never mount several guards in one call')
  return pass(
    `guards are mounted in the right order in ${first.file}:${first.line}${seen.length > 1 ? ` and ${counted(seen.length - 1, 'other place')}` : ''}`,
  )
}
