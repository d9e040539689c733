import { spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { repository } from '../../support/commands.ts'
import {
  killExampleProcess,
  startExampleProcess,
  type ExampleProcess,
} from '../../support/example-process.ts'
import { exchange } from '../../support/raw-exchange.ts'

describe('bytes that are not a readable request', () => {
  let server: ExampleProcess
  beforeAll(async () => {
    server = await startExampleProcess()
  })
  afterAll(() => killExampleProcess(server))

  for (const [what, text, status] of [
    ['no HTTP', 'hello secret-marker\r\n\r\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na', 400],
    ['a head without an end', `GET / HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(100_000)}\r\n\r\n`, 431],
  ] as const) {
    it(`such as ${what}, are answered with ${status}, and not repeated`, async () => {
      const answer = await exchange(Number(new URL(server.url).port), text)
      expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
      expect(answer).toContain('Connection: close')
      expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
      expect(server.said.stderr).not.toContain('secret-marker')
    })
  }

  it('are logged', () => {
    expect(server.said.stderr).toMatch(/^gateway: a client sent an unreadable request code="HPE_\w+"$/m)
  })
})

describe('an uncaught error', () => {
  for (const [what, program] of [
    ['an exception', `setTimeout(() => { throw new Error('boom') })`],
    ['a promise', `Promise.reject(new Error('boom'))`],
  ] as const) {
    it(`${what}: is logged, everything is closed, and the process exits with 1`, async () => {
      const setUp = `
        import { installLastResort } from './example-server/last-resort.ts'
        import { createLog } from './example-server/log.ts'
        const open = setInterval(() => {}, 1000)
        installLastResort(createLog({ production: true }), () => { clearInterval(open); console.log('stopped') })
        ${program}`
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', setUp], {
        cwd: repository,
      })
      const said = { stdout: '', stderr: '' }
      child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()))
      child.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()))
      expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1)
      expect(said.stdout).toBe('stopped\n')
      expect(JSON.parse(said.stderr)).toMatchObject({
        event: 'an error was not caught; the server stops',
        fault: expect.stringContaining('boom'),
      })
    })
  }
})
