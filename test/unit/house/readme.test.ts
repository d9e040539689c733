import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import { repository, run } from '../../support/commands.ts'

/** TypeScript of README.md. A block that imports nothing goes on where the one before it ended. */
function examplesOf(readme: string): readonly { line: number; code: string }[] {
  const examples: { line: number; code: string }[] = []
  for (const block of readme.matchAll(/^```(?:ts|typescript)\b[^\n]*\n(.*?)^```/gms)) {
    const code = block[1] ?? ''
    const line = readme.slice(0, block.index).split('\n').length + 1
    const before = examples.at(-1)
    if (/^import\b/m.test(code) || before === undefined) examples.push({ line, code })
    else examples.push({ line, code: `${before.code}\n${code}` })
  }
  return examples
}

it('every TypeScript example of README.md compiles as it stands', async () => {
  const path = join(repository, 'README.md')
  if (!existsSync(path)) return // package.test.ts demands it
  const folder = join(repository, '.cache', 'readme')
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const files: string[] = []
  for (const { line, code } of examplesOf(await readFile(path, 'utf8'))) {
    const file = `line-${line}.ts`
    files.push(file)
    await writeFile(join(folder, file), code)
  }
  if (files.length === 0) return
  const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false }
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, files, include: [] }),
  )
  const { output } = await run(join(repository, 'node_modules', '.bin', 'tsc'), [
    '-p',
    folder,
    '--pretty',
    'false',
  ])
  // `.cache/readme/line-40.ts(3,1)` is the third line of the example that starts at line 40 of README.md.
  expect(output).toBe('')
})
