import { createServer } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import {
  createPolicySource,
  domainProtect,
  guardUpgrade,
  ipWhitelist,
  memoryStore,
  protect,
  type ConfigError,
} from 'portcullis'
import { portcullisFastify } from 'portcullis/fastify'
import { portcullisHono } from 'portcullis/hono'

/** The message with which the plugin refuses its options. It refuses them before it uses the instance. */
function refusalOf(options: object): string {
  let refusal: Error | undefined
  portcullisFastify({ prefix: '' }, options as never, (error) => (refusal = error))
  return refusal?.message ?? 'accepted'
}

describe('the guards for another framework', () => {
  const policies = createPolicySource({ store: memoryStore() })

  it('must be what a factory returns, and not the factory itself', () => {
    const advice = /must be a guard.*; call it: `domainProtect\({ … }\)`/
    expect(refusalOf({ guards: domainProtect })).toMatch(advice)
    expect(refusalOf({ guards: [ipWhitelist({ policies }), domainProtect] })).toMatch(advice)
    expect(() => portcullisHono(domainProtect as never)).toThrow(advice)
    expect(() => guardUpgrade(createServer(), { guards: [protect] as never })).toThrow(
      /; call it: `protect\({ … }\)`/,
    )
    expect(refusalOf({ guards: 'domainProtect' })).not.toMatch(/call it/)
  })

  it('are missed together with an option of a similar name, and not with those of Fastify', () => {
    const message = refusalOf({ guard: ipWhitelist({ policies }), prefix: '/a', logLevel: 'warn' })
    expect(message).toContain('unknown option `guard`: did you mean `guards`?')
    expect(message).toContain('`portcullisFastify.guards` is missing')
    expect(message).not.toMatch(/prefix|logLevel/)
  })

  it('names a factory that gets a request, with advice for every framework', () => {
    const call = (): unknown => domainProtect({ headers: {}, method: 'GET', on: () => undefined } as never)
    const found = ((): string => {
      try {
        return String(call())
      } catch (error) {
        return (error as ConfigError).message
      }
    })()
    expect(found).toMatch(/this is a request: mount what `domainProtect` returns, `domainProtect\({ … }\)`/)
  })
})
