/**
 * Follows README.md literally in an empty folder, with the package as it would be published, and prints the result of
 * each block. Run it with `npm run try:readme`. It exits with 1 if a block does not do what the page says. It installs
 * packages from the registry that npm is configured to use.
 */
import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Block, Document } from './readme/documents.ts'
import { follow, run, type Step } from './readme/follow.ts'

const repository = process.cwd()
const page: Document = { path: 'README.md', text: await readFile(join(repository, 'README.md'), 'utf8') }

async function must(program: string, args: readonly string[], cwd: string): Promise<string> {
  const { printed, succeeded } = await run(program, args, cwd)
  if (!succeeded) throw new Error(`${program} ${args.join(' ')}: ${printed}`)
  return printed
}

/** Builds and packs the package, and resolves with the path of the tarball. */
async function pack(home: string): Promise<string> {
  await must('npm', ['run', 'build'], repository)
  await must('npm', ['pack', '--ignore-scripts', '--pack-destination', home], repository)
  const name = (await readdir(home)).find((file) => file.endsWith('.tgz'))
  if (name === undefined) throw new Error('npm pack has not written a tarball')
  return join(home, name)
}

async function bytesOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map((entry) => stat(join(entry.parentPath, entry.name)).then(({ size }) => size))
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

/** Type-checks a TypeScript example, as a user would. Parses and scores a policy with the installed package. */
async function tryBlock(
  { language, line, code }: Block,
  folder: string,
): Promise<Omit<Step, 'line'> | undefined> {
  if (language === 'jsonc') {
    const program = `import { parsePolicy, scorePolicy } from 'portcullis'
const policy = parsePolicy(${code})
console.log('parsePolicy accepts it; scorePolicy:', scorePolicy(policy).score)`
    await writeFile(join(folder, 'policy.mjs'), program)
    return { what: 'the policy', ...(await run('node', ['policy.mjs'], folder)) }
  }
  if (language !== 'ts') return undefined
  const file = `line-${line}.ts`
  await writeFile(join(folder, file), code)
  const compiler = join(repository, 'node_modules', '.bin', 'tsc')
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2023']
  const { printed, succeeded } = await run(compiler, [...options, '--types', 'node', file], folder)
  return { what: 'the example', printed: succeeded ? 'it compiles' : printed, succeeded }
}

/** The output that the page promises for its commands and programs. */
const PROMISED: readonly (readonly [what: RegExp, printed: RegExp])[] = [
  [/curl .*https:\/\/example\.org'/, /^HTTP\/1\.1 200 /],
  [
    /curl .*https:\/\/example\.com'/,
    /^HTTP\/1\.1 403 [^]*the server: portcullis: domainProtect refused [^]*: ORIGIN_NOT_ALLOWED, `Origin` matches no domain; /,
  ],
  [
    /node signed\.mjs/,
    /^200 \{.*\}\n401 \{.*"code":"SIGNATURE_REQUIRED".*\}\nportcullis: serverOnly refused [^\n]*$/,
  ],
]

function isAsPromised({ what, printed, succeeded }: Step): boolean {
  return succeeded && PROMISED.every(([of, promise]) => !of.test(what) || promise.test(printed))
}

const home = await mkdtemp(join(tmpdir(), 'portcullis-readme-'))
try {
  const tarball = await pack(home)
  const folder = await mkdtemp(join(home, 'empty-'))
  // The page tells the reader to put the tarball there.
  await copyFile(tarball, join(folder, basename(tarball)))
  const steps = follow(page, {
    folder,
    shell(command) {
      if (!command.startsWith('npm install ')) return undefined
      const names = command.replace('npm install', '').replace(/#.*$/, '').trim().split(/\s+/)
      // The examples in TypeScript also need these types.
      return must(
        'npm',
        ['install', '--no-audit', '--no-fund', ...names, '@types/express', '@types/node'],
        folder,
      )
    },
    other: (block) => tryBlock(block, folder),
  })
  let failures = 0
  for await (const step of steps) {
    const good = isAsPromised(step)
    if (!good) failures += 1
    console.log(`\n${good ? 'ok    ' : 'FAILED'} README.md:${step.line}  ${step.what}`)
    if (step.printed !== '') console.log(step.printed.replace(/^/gm, '       '))
  }
  const megabytes = ((await bytesOf(join(folder, 'node_modules', 'portcullis'))) / 1e6).toFixed(1)
  console.log(`\ntarball: ${((await stat(tarball)).size / 1e3).toFixed(0)} kB; on disk: ${megabytes} MB`)
  if (failures > 0) process.exitCode = 1
} finally {
  await rm(home, { recursive: true, force: true })
}
