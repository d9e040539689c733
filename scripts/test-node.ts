/**
 * Runs the unit tests and the guards' tests on another version of Node: `npm run test:node -- 24`. Installs this
 * version outside the repository if it is missing. Further arguments are passed to jest.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { nodeVersion } from '../bench/chain/node-versions.ts'

const [major = '24', ...given] = process.argv.slice(2)
const { program, version } = await nodeVersion(Number(major), console.log)
console.log(`Node ${version}`)
const jest = join(process.cwd(), 'node_modules', 'jest', 'bin', 'jest.js')
const projects = ['--selectProjects', 'unit', 'integration', 'libraries', '--']
const tests = given.length > 0 ? given : ['test/unit', 'test/integration/guards']
const child = spawn(program, [jest, ...projects, ...tests], { stdio: 'inherit' })
child.once('exit', (code) => process.exit(code ?? 1))
