const { execFileSync } = require('node:child_process')
const { basename, dirname, join, relative } = require('node:path')

/**
 * For `jest --watch`: selects the tests closest to a change. Almost every test imports almost every source through
 * `src/index.ts`, so jest considers almost all tests related.
 *
 * The closest tests are changed tests, and tests named like a changed source in the mirrored folder. If there are none,
 * the tests of that folder, and otherwise all tests that jest found.
 */
module.exports = (testPaths) => {
  const changed = changedFiles()
  const paths = testPaths.map((path) => relative(process.cwd(), path))
  const wanted = new Set(changed.flatMap((file) => nearestTo(file, paths)))
  const filtered =
    wanted.size === 0 ? testPaths : testPaths.filter((_path, index) => wanted.has(paths[index]))
  return { filtered }
}

function changedFiles() {
  const git = (...args) => execFileSync('git', args, { encoding: 'utf8' }).split('\n').filter(Boolean)
  return [
    ...git('diff', '--name-only', '--relative', 'HEAD'),
    ...git('ls-files', '--others', '--exclude-standard'),
  ]
}

function nearestTo(file, paths) {
  if (file.endsWith('.test.ts')) return paths.filter((path) => path === file)
  if (!file.startsWith('src/') || !file.endsWith('.ts')) return []
  const folder = join('test/unit', dirname(relative('src', file)))
  const name = basename(file, '.ts')
  const inFolder = paths.filter((path) => dirname(path) === folder)
  const ofSameName = inFolder.filter((path) => new RegExp(`^${name}[.-]`).test(basename(path)))
  return ofSameName.length > 0 ? ofSameName : inFolder
}
