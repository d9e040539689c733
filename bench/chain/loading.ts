/** Measures importing the package, and the size of bundles of parts of it. */
import { execFile } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { builtDoor } from './build.ts'
import { figureOf, type Figure } from './figures.ts'
import type { NodeVersion } from './node-versions.ts'

const run = promisify(execFile)
const here = fileURLToPath(new URL('.', import.meta.url))

interface Cost {
  readonly milliseconds: number
  readonly mebibytes: number
}

const PROGRAM = `
const { rss } = process.memoryUsage()
const cpu = process.cpuUsage()
await import(process.argv[1])
const { user, system } = process.cpuUsage(cpu)
console.log(JSON.stringify({
  milliseconds: (user + system) / 1000,
  mebibytes: (process.memoryUsage().rss - rss) / 1048576,
}))`

async function importOnce(what: string, { program }: NodeVersion): Promise<Cost> {
  const { stdout } = await run(program, ['--input-type=module', '--eval', PROGRAM, what], { cwd: here })
  return JSON.parse(stdout) as Cost
}

export interface Imports {
  /** CPU time of importing the package, relative to importing Express. */
  readonly cpu: Figure
  /** Memory, relative to importing Express. */
  readonly memory: Figure
  /** Absolute values of both, for scale. */
  readonly ours: Cost
  readonly express: Cost
}

export async function measureImports(node: NodeVersion, rounds: number): Promise<Imports> {
  const ours: Cost[] = []
  const express: Cost[] = []
  // The first round is not counted, because it reads the files from the disk.
  for (let round = -1; round < rounds; round += 1) {
    const ofExpress = await importOnce('express', node)
    const ofOurs = await importOnce(pathToFileURL(builtDoor('index')).href, node)
    if (round < 0) continue
    express.push(ofExpress)
    ours.push(ofOurs)
  }
  const ratio = (of: keyof Cost): Figure =>
    figureOf(ours.map((cost, index) => cost[of] / (express[index] as Cost)[of]))
  const middle = (costs: readonly Cost[]): Cost => ({
    milliseconds: figureOf(costs.map(({ milliseconds }) => milliseconds)).median,
    mebibytes: figureOf(costs.map(({ mebibytes }) => mebibytes)).median,
  })
  return {
    cpu: ratio('milliseconds'),
    memory: ratio('mebibytes'),
    ours: middle(ours),
    express: middle(express),
  }
}

/** The size of a minified bundle of these exports and their dependencies, in KiB. */
export async function measureBundle(names: readonly string[]): Promise<number> {
  const { outputFiles } = await build({
    // esbuild warns of each chunk that it leaves out.
    logLevel: 'error',
    stdin: {
      contents: `export { ${names.join(', ')} } from ${JSON.stringify(builtDoor('index', 'esm'))}`,
      resolveDir: here,
    },
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    write: false,
  })
  return (outputFiles[0]?.contents.length ?? Number.NaN) / 1024
}
