import { describe, expect, it } from '@jest/globals'
import type { GuardRequest } from '../../../../src/http/handler.ts'
import { createContext, findContext, type RequestContext } from '../../../../src/http/request/context.ts'
import { parseReturnUrl, type ReturnUrl } from '../../../../src/match/return-url.ts'
import { compilePolicy } from '../../../../src/policy/compile.ts'
import { readPolicy } from '../../../../src/policy/parse.ts'

function contextOf(): RequestContext {
  return createContext({ headers: {}, rawHeaders: [], socket: {} } as unknown as GuardRequest)
}

function urlOf(text: string): ReturnUrl {
  const url = parseReturnUrl(text)
  if ('problem' in url) throw new TypeError(text)
  return url
}

describe('the context of a request', () => {
  it('is found if a guard has created it, and only then', () => {
    const req = { headers: {}, rawHeaders: [], socket: {} } as unknown as GuardRequest
    expect(findContext(req)).toBeUndefined()
    const context = createContext(req)
    expect(findContext(req)).toBe(context)
    // Other middleware can write anything to this property.
    const forged = { portcullis: { decisions: [], returnUrl: 'https://evil.example/' } }
    expect(findContext(forged as unknown as GuardRequest)).toBeUndefined()
  })

  it('keeps the first id that it gets, and otherwise has a random one', () => {
    const named = contextOf()
    named.name(undefined)
    named.name('first')
    named.name('second')
    expect(named.requestId).toBe('first')
    const unnamed = contextOf()
    expect(unnamed.requestId).toMatch(/^[0-9a-f-]{36}$/)
    unnamed.name('late')
    expect(unnamed.requestId).not.toBe('late')
    expect(contextOf().requestId).not.toBe(contextOf().requestId)
  })

  it('has the return URLs of all guards, and the first one of the last guard separately', () => {
    const context = contextOf()
    expect([context.returnUrl, context.returnUrls]).toEqual([undefined, {}])
    context.approve([
      ['next', urlOf('https://example.org/a')],
      ['cancel', urlOf('https://example.org/b')],
    ])
    context.approve([])
    expect(context.returnUrl).toBe('https://example.org/a')
    context.approve([['next', urlOf('https://example.org/c')]])
    expect(context.returnUrl).toBe('https://example.org/c')
    expect(context.returnUrls).toEqual({ next: 'https://example.org/c', cancel: 'https://example.org/b' })
    expect(context.returnUrlNamed('next')).toBe('https://example.org/c')
    expect(context.returnUrlNamed('toString')).toBeUndefined()
  })

  it('has the grant of its own policy, and of no other', () => {
    const context = contextOf()
    const [one, other] = [1, 2].map(() => compilePolicy(readPolicy({ appId: 'a' })))
    if (one === undefined || other === undefined) throw new TypeError('there are two')
    expect(context.grantBy(one)).toBeUndefined()
    context.keepGrant(one, undefined)
    expect(context.grantBy(one)).toEqual({ policy: one, grant: undefined })
    expect(context.grantBy(other)).toBeUndefined()
  })

  it('lets a page read what all judging policies allow', () => {
    const context = contextOf()
    const exposedHeaders = ['x-a', 'x-b']
    expect(context.narrowCors({ credentials: true, exposedHeaders })).toEqual({
      credentials: true,
      exposedHeaders,
    })
    const second = context.narrowCors({ credentials: true, exposedHeaders: ['x-b', 'x-c'] })
    expect(second).toEqual({ credentials: true, exposedHeaders: ['x-b'] })
    expect(context.narrowCors({})).toEqual({ credentials: false, exposedHeaders: [] })
    expect(context.narrowCors({ credentials: true, exposedHeaders })).toEqual({
      credentials: false,
      exposedHeaders: [],
    })
  })

  it('keeps the data of each mount', () => {
    const context = contextOf()
    const [one, other] = [{}, Symbol('other')]
    context.keep(one, 1)
    expect([context.recall(one), context.recall(other)]).toEqual([1, undefined])
  })
})
