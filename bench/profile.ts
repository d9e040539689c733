/**
 * Shows where the CPU time of a request through all six guards goes, compared with the same request through bare
 * Express. Run it with `npm run bench:profile`. It has no target.
 *
 * --node 20|24     the version of Node; default: the current one
 * --variant NAME   the variant that is compared with bare Express; default `protect()`
 * --requests N     requests to each server; default 60,000
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pathToFileURL } from 'node:url'
import { build, builtDoor } from './chain/build.ts'
import { Subject } from './chain/client.ts'
import { nodeVersion, type NodeVersion } from './chain/node-versions.ts'
import { requests } from './chain/traffic.ts'
import { BASE, variants, type Variant } from './chain/variants.ts'

const { values: given } = parseArgs({
  options: {
    node: { type: 'string', default: process.versions.node.split('.')[0] as string },
    variant: { type: 'string', default: 'protect()' },
    requests: { type: 'string', default: '60000' },
  },
})
const count = Number(given.requests)
const STEP = 1_000
const dist = new URL('..', pathToFileURL(builtDoor('index'))).href

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Microseconds by location in the code. */
type Places = Map<string, number>

function placeOf({ functionName, url }: Profile['nodes'][number]['callFrame']): string | undefined {
  if (functionName === '(idle)') return undefined
  if (url.startsWith(dist)) return `portcullis: ${functionName}`
  const packageName = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(url)?.[1]
  if (packageName !== undefined) return `package: ${packageName}`
  if (url.startsWith('node:')) return url
  return url === '' ? `native: ${functionName}` : 'benchmark'
}

async function placesIn(folder: string): Promise<Places> {
  const [file] = await readdir(folder)
  const profile = JSON.parse(await readFile(join(folder, file as string), 'utf8')) as Profile
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]))
  const places: Places = new Map()
  for (const [index, id] of profile.samples.entries()) {
    const name = names.get(id)
    if (name !== undefined) places.set(name, (places.get(name) ?? 0) + (profile.timeDeltas[index] ?? 0))
  }
  return places
}

/** Sends the same bytes to both servers in turn, each under the profiler. */
async function profiles({ name, kind, expects }: Variant, node: NodeVersion): Promise<[Places, Places]> {
  const folders = [await mkdtemp(join(tmpdir(), 'profile-')), await mkdtemp(join(tmpdir(), 'profile-'))]
  try {
    const flagsOf = (folder: string): string[] => ['--cpu-prof', `--cpu-prof-dir=${folder}`]
    const [ofBase, ofVariant] = folders as [string, string]
    const base = await Subject.start(BASE, { node, flags: flagsOf(ofBase) })
    const subject = await Subject.start(name, { node, flags: flagsOf(ofVariant) })
    for (let sent = 0; sent < count; sent += STEP) {
      const load = await requests(kind, STEP)
      await base.send(load, { status: 200 })
      await subject.send(load, expects)
    }
    await base.stop()
    await subject.stop()
    return [await placesIn(ofBase), await placesIn(ofVariant)]
  } finally {
    for (const folder of folders) await rm(folder, { recursive: true, force: true })
  }
}

function total(places: Places): number {
  return [...places.values()].reduce((sum, time) => sum + time, 0)
}

const variant = variants.find(({ name }) => name === given.variant)
if (variant === undefined) throw new Error(`there is no variant \`${given.variant}\``)
const node = await nodeVersion(Number(given.node), console.log)
await build()
const [base, own] = await profiles(variant, node)
const whole = total(base)
let ours = 0
for (const [name, time] of own) if (name.startsWith('portcullis: ')) ours += time
const percent = (time = 0): string => ((100 * time) / whole).toFixed(1).padStart(7)
console.log(
  `Node ${node.version}, ${variant.name}: percent of the CPU time of bare Express, ${count} requests each`,
)
console.log(`${'variant'.padStart(7)}${'base'.padStart(8)}${'more'.padStart(8)}`)
console.log(`${percent(total(own))} ${percent(whole)} ${percent(total(own) - whole)}  all`)
console.log(`${percent(ours)} ${percent(0)} ${percent(ours)}  portcullis`)
const more = (name: string): number => (own.get(name) ?? 0) - (base.get(name) ?? 0)
const names = [...new Set([...own.keys(), ...base.keys()])].toSorted((a, b) => more(b) - more(a))
for (const name of names) {
  if (Math.abs(more(name)) < whole / 500) continue
  console.log(`${percent(own.get(name))} ${percent(base.get(name))} ${percent(more(name))}  ${name}`)
}
