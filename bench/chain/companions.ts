/** Other benchmarks with targets of their own, which run as parts of a complete run. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { NodeVersion } from './node-versions.ts'

export interface Companion {
  readonly id: string
  /** The script in package.json. */
  readonly command: string
  readonly file: string
  readonly options: readonly string[]
  /** The options of a short run. */
  readonly quick: readonly string[]
}

export interface CompanionOutcome {
  readonly met: boolean
  /** The output. */
  readonly text: string
}

export const companions: readonly Companion[] = [
  {
    id: 'P10',
    command: 'bench:signature',
    file: 'signature.ts',
    options: ['--rounds', '301'],
    quick: ['--rounds', '21'],
  },
  {
    id: 'P11',
    command: 'bench:match',
    file: 'match.ts',
    options: ['--rounds', '5'],
    quick: ['--rounds', '1'],
  },
]

export async function runCompanion(
  { file, options, quick }: Companion,
  { program }: NodeVersion,
  isQuick: boolean,
): Promise<CompanionOutcome> {
  const loader = new URL('../typescript.mjs', import.meta.url).href
  const path = fileURLToPath(new URL(`../${file}`, import.meta.url))
  const child = spawn(program, ['--import', loader, path, ...(isQuick ? quick : options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production' },
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { met: code === 0, text: text.trim() }
}
