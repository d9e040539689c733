import { spawn } from 'node:child_process'
import { cpSync, createReadStream, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { RejudgeReport } from '../../src/index.ts'
import { compiled } from './compiled.ts'
import type { PlantedCode } from './planted-changes.ts'

const PROGRAM = 'test/support/rejudging-process.ts'

/** A copy of the compiled sources with one change. */
export class PlantedCopy {
  readonly #folder: string
  readonly #program: string

  constructor(planted: PlantedCode | undefined) {
    const program = compiled(PROGRAM)
    const root = join(dirname(program), '..', '..')
    this.#folder = join(root, '..', `planted-${process.pid}-${Math.random().toString(36).slice(2)}`)
    cpSync(root, this.#folder, { recursive: true })
    this.#program = join(this.#folder, 'test', 'support', 'rejudging-process.js')
    if (planted === undefined) return
    const path = join(this.#folder, planted.file)
    const text = readFileSync(path, 'utf8')
    if (!text.includes(planted.from)) throw new Error(`\`${planted.from}\` is not in ${planted.file}`)
    writeFileSync(path, text.replace(planted.from, planted.to))
  }

  /** Rejudges the recorded requests in a file with one event per line. */
  async rejudge(events: string): Promise<RejudgeReport> {
    const child = spawn(process.execPath, [this.#program], { stdio: ['pipe', 'pipe', 'inherit'] })
    createReadStream(events).pipe(child.stdin)
    let text = ''
    for await (const chunk of child.stdout) text += String(chunk)
    return JSON.parse(text) as RejudgeReport
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
