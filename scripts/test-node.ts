/**
 * Runs the unit tests and those of the guards on another version of Node, which is installed outside of the repository where
 * it is missing: `npm run test:node -- 24`. What follows is handed to jest.
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
