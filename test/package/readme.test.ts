import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { follow, type Step } from '../../scripts/readme/follow.ts'
import { repository } from '../support/commands.ts'
import { pack, type Packed } from './consumer.ts'

const page = { path: 'README.md', text: readFileSync(join(repository, 'README.md'), 'utf8') }
let packed: Packed
let steps: Step[]

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return String(port)
}

/** The output of the steps whose description matches. */
const printedBy = (what: RegExp): string[] =>
  steps.filter((step) => what.test(step.what)).map(({ printed }) => printed)

/** The text without line breaks and request ids. */
const inWords = (text: string): string =>
  text.replace(/\s+/g, ' ').replace(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/g, 'an id')

beforeAll(async () => {
  packed = await pack()
  const project = await packed.project({ express: 'express' })
  const ports = new Map([
    ['3000', await freePort()],
    ['3001', await freePort()],
  ])
  steps = []
  const following = { folder: project.folder, port: (named: string) => ports.get(named) ?? named }
  for await (const step of follow(page, following)) steps.push(step)
})
afterAll(() => packed.remove())

describe('a reader who follows README.md with the packed package', () => {
  it('completes every step', () => {
    expect(steps.filter(({ succeeded }) => !succeeded)).toEqual([])
  })

  it('gets 200 with the first command of the page', () => {
    const [first] = printedBy(/^`curl /)
    expect(first).toMatch(/^HTTP\/1\.1 200 OK\n/)
    expect(first).toContain('\nAccess-Control-Allow-Origin: https://example.org\n')
    expect(first).toContain('{"app":"example-shop"}')
  })

  it('gets a refusal with the second command, and the server alone prints the reason, as the page says', () => {
    const [, second = '', ...others] = printedBy(/^`curl /)
    expect(others).toEqual([])
    const [answer = '', said = ''] = second.split('\nthe server: ')
    expect(answer).toMatch(/^HTTP\/1\.1 403 Forbidden\n/)
    expect(answer).toContain('"code":"ORIGIN_NOT_ALLOWED"')
    expect(answer).not.toContain('matches no domain')
    expect(said).toMatch(/^portcullis: domainProtect refused request /)
    expect(inWords(page.text)).toContain(inWords(said))
  })

  it('sees that a signed call passes, and that the same call is refused without a signature', () => {
    const [printed = ''] = printedBy(/^`node signed\.mjs`/)
    expect(printed.split('\n')).toEqual([
      '200 {"app":"example-shop","received":{"request_id":"1"}}',
      expect.stringMatching(/^401 .*"code":"SIGNATURE_REQUIRED"/),
      expect.stringMatching(/^portcullis: serverOnly refused request .*: SIGNATURE_REQUIRED, /),
    ])
  })
})
