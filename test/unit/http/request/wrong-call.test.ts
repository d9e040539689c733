import type { RequestListener } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import { createPolicySource, ipWhitelist, memoryStore, UsageError } from 'portcullis'
import { listening } from '../../../support/protected-app.ts'

const policies = createPolicySource({ store: memoryStore() })
const guard = ipWhitelist({ policies }) as (...given: unknown[]) => void

/** The error of a guard that is called with these arguments. */
function thrown(...given: unknown[]): UsageError {
  try {
    guard(...given)
  } catch (error) {
    if (error instanceof UsageError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const SECRET = 'https://secret.example/?token=1'
const fetched = new Request(SECRET, { headers: { authorization: 'secret' } })
const node = { headers: { host: 'secret.example' }, method: 'GET', url: '/?secret' }
const next = (): void => undefined

describe('a guard that is called with', () => {
  it.each<[what: string, given: unknown[], message: string]>([
    ['a Fetch Request', [fetched], 'a Fetch API `Request`'],
    [
      'a request and reply of Fastify',
      [{ raw: node, headers: {} }, { raw: {} }, next],
      '`portcullisFastify`',
    ],
    ['a Koa context', [{ req: node, res: {}, headers: {} }, next], '`ctx.req` and `ctx.res`'],
    ['a Hono context', [{ req: { raw: fetched } }, next], '`portcullisHono`'],
    ['nothing', [], 'something else'],
    ['null', [null, null, null], 'something else'],
  ])('%s reports it, and how to mount the guard there', (_what, given, message) => {
    const error = thrown(...given)
    expect(error.message).toContain('`ipWhitelist` was called with ')
    expect(error.message).toContain(message)
    expect(error).toMatchObject({ code: 'USAGE_INVALID', help: 'docs/codes.md#usage_invalid' })
    expect(error.message).not.toContain('secret')
  })

  it('a request and a response of Node, but without `next`, reports it and does not answer', async () => {
    let said = ''
    const listener: RequestListener = (req, res) => {
      said = thrown(req, res).message
      res.end('not judged')
    }
    await listening(listener, async (origin) => {
      expect(await (await fetch(origin)).text()).toBe('not judged')
    })
    expect(said).toContain('with no function `next`')
  })
})
