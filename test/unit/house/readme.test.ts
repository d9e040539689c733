import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { parsePolicy } from 'portcullis'
import { repository, run } from '../../support/commands.ts'
import {
  anchorsOf,
  blocksOf,
  linksOf,
  programsOf,
  readDocuments,
  type Block,
} from '../../../scripts/readme/documents.ts'

const documents = readDocuments()
const blocks = documents.flatMap(blocksOf)
const readme = documents[0]?.text ?? ''

/** The paths of all test files, relative to `test`. */
const tests = readdirSync(join(repository, 'test'), { recursive: true, encoding: 'utf8' })

/** Whether exactly one test has this name. `redis/faults.test.ts` means `test/integration/redis/faults.test.ts`. */
function isTest(name: string): boolean {
  const path = name.replace(/^test\//, '')
  return tests.filter((test) => test === path || test.endsWith(`/${path}`)).length === 1
}

interface Example {
  readonly document: string
  readonly line: number
  readonly code: string
}

/** The examples to compile. A block without imports continues the previous one in its document. */
function examplesOf(all: readonly Block[]): readonly Example[] {
  const examples: Example[] = []
  for (const { document, line, language, code } of all) {
    if (!/^(?:ts|typescript|js|javascript)$/.test(language)) continue
    const before = examples.at(-1)
    const goesOn = !/^import\b/m.test(code) && before?.document === document
    examples.push({ document, line, code: goesOn ? `${before.code}\n${code}` : code })
  }
  return examples
}

describe('the documentation', () => {
  it('has examples that compile unchanged', async () => {
    const folder = join(repository, '.cache', 'readme')
    await rm(folder, { recursive: true, force: true })
    const files: string[] = []
    for (const { document, line, code } of examplesOf(blocks)) {
      const file = `${document}/line-${line}.ts`
      files.push(file)
      await mkdir(dirname(join(folder, file)), { recursive: true })
      await writeFile(join(folder, file), code)
    }
    expect(files.length).toBeGreaterThan(30)
    const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false }
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, files, include: ['../../examples'] }),
    )
    const compiler = join(repository, 'node_modules', '.bin', 'tsc')
    const { output } = await run(compiler, ['-p', folder, '--pretty', 'false'])
    // `.cache/readme/docs/start.md/line-40.ts(3,1)` is the third line of the example that starts at line 40 of docs/start.md.
    expect(output).toBe('')
  })

  it('shows policies that are valid unchanged', () => {
    const policies = blocks
      .filter(
        ({ language, code }) => language === 'jsonc' || (language === 'json' && code.includes('"appId"')),
      )
      .map(({ document, line, code }) => {
        const text = code.replace(/\/\/ .*$/gm, '').replace(/,(?=\s*[}\]])/g, '')
        return { where: `${document}:${line}`, policy: JSON.parse(text) as unknown }
      })
    expect(policies.length).toBeGreaterThan(2)
    for (const { where, policy } of policies)
      expect({ where, ...parsePolicy(policy) }).toMatchObject({ where, ...(policy as object) })
  })

  it('shows valid JSON', () => {
    for (const { language, code } of blocks) if (language === 'json') JSON.parse(code)
  })

  it('links to existing files and headings', () => {
    const anchors = new Map(documents.map((document) => [document.path, anchorsOf(document)]))
    const broken = documents.flatMap((document) =>
      linksOf(document)
        .filter((link) => !/^https?:/.test(link))
        .filter((link) => {
          const [file = '', anchor] = link.split('#')
          const path = file === '' ? document.path : posix.join(dirname(document.path), file)
          if (!existsSync(join(repository, path))) return true
          if (statSync(join(repository, path)).isDirectory() || anchor === undefined)
            return anchor !== undefined
          return anchors.get(path)?.has(anchor) !== true
        })
        .map((link) => `${document.path}: ${link}`),
    )
    expect(broken).toEqual([])
  })

  it('names existing tests and commands', () => {
    const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    const named = documents.flatMap(({ path, text }) => {
      const tests = [...text.matchAll(/`((?:[\w-]+\/)*[\w.-]+\.test\.ts)`/g)].map(([, name = '']) => name)
      const commands = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name)
      return [
        ...tests.filter((name) => !isTest(name)).map((name) => `${path}: ${name}`),
        ...commands.filter((name) => scripts[name] === undefined).map((name) => `${path}: npm run ${name}`),
      ]
    })
    expect(named).toEqual([])
  })

  it('can be reached from README or from docs/README.md, page by page', () => {
    const reached = new Set(
      documents
        .filter(({ path }) => path === 'README.md' || path === 'docs/README.md')
        .flatMap((document) =>
          linksOf(document).map((link) => posix.join(dirname(document.path), link.split('#')[0] ?? '')),
        ),
    )
    const lost = documents
      .map(({ path }) => path)
      .filter((path) => path !== 'README.md' && !reached.has(path))
    expect(lost).toEqual([])
  })
})

describe('README.md', () => {
  it('has at most 200 lines', () => {
    expect(readme.trimEnd().split('\n').length).toBeLessThanOrEqual(200)
  })

  it('names the two commands', () => {
    expect(readme).toContain('npm ci && npm start')
    expect(readme).toContain('npm ci && npm test')
  })

  it('has two programs, of which the first is the first code of the page', () => {
    const document = documents[0]
    if (document === undefined) throw new Error('there is no README.md')
    expect([...programsOf(document).keys()]).toEqual(['app.mjs', 'signed.mjs'])
    expect(blocksOf(document).find(({ language }) => language !== 'sh')?.code).toMatch(/^\/\/ app\.mjs\n/)
  })
})
