import { describe, expect, it } from '@jest/globals'
import { createPolicySource, memoryStore, type PolicySource } from 'portcullis'
import type { GuardRequest } from '../../../src/http/handler.ts'
import { isUnresolved, JudgedRequest } from '../../../src/http/judged-request.ts'
import { NodeFacts } from '../../../src/http/request/facts.ts'

const sourceOf = (...ids: string[]): PolicySource =>
  createPolicySource({ store: memoryStore(ids.map((appId) => ({ policy: { appId } }))) })

function requestOf(): JudgedRequest {
  const req = { method: 'GET', url: '/', headers: {}, rawHeaders: [], socket: {} } as unknown as GuardRequest
  return new JudgedRequest(req, new NodeFacts(req))
}

/** The id of the found app, or the reason why there is none. */
async function found(request: JudgedRequest, policies: PolicySource, id: unknown): Promise<string> {
  const resolved = await request.resolve({ policies, appId: () => id as string, optionTimeout: 1_000 })
  return isUnresolved(resolved) ? resolved.code : resolved.appId
}

describe('the calling app', () => {
  const policies = sourceOf('one', 'two')
  const broken: PolicySource = {
    ...policies,
    peek: () => undefined,
    load: async () => Promise.reject(new Error('down')),
  }

  it.each<[what: string, policies: PolicySource, id: unknown, expected: string]>([
    ['is found by its id', policies, 'one', 'one'],
    ['is found by a promise of it', policies, Promise.resolve('one'), 'one'],
    ['is not named by nothing', policies, undefined, 'APP_UNIDENTIFIED'],
    ['is not named by an empty string', policies, '', 'APP_UNIDENTIFIED'],
    ['is not named by a number', policies, 1, 'APP_UNIDENTIFIED'],
    ['is not named by a list', policies, ['one'], 'APP_UNIDENTIFIED'],
    ['is unknown where there is none', policies, 'three', 'APP_UNKNOWN'],
    ['is unknown by what can be no id', policies, 'a/b', 'APP_UNKNOWN'],
    ['cannot be found where the source fails', broken, 'one', 'POLICY_UNAVAILABLE'],
  ])('%s', async (_what, source, id, expected) => {
    const request = requestOf()
    expect(await found(request, source, id)).toBe(expected)
    expect(request.app?.appId).toBe(expected === 'one' ? 'one' : undefined)
  })

  it('depends on the source and the id, one after the other', async () => {
    const request = requestOf()
    const other = sourceOf('two')
    expect(await found(request, policies, 'one')).toBe('one')
    expect(await found(request, policies, 'two')).toBe('two')
    expect(await found(request, other, 'two')).toBe('two')
    expect(await found(request, other, 'one')).toBe('APP_UNKNOWN')
    expect(request.app).toBeUndefined()
    expect(await found(request, policies, 'one')).toBe('one')
    expect(await found(request, policies, undefined)).toBe('APP_UNIDENTIFIED')
    expect(request.app).toBeUndefined()
  })

  it('keeps the first revision for a source and an id', async () => {
    const store = memoryStore([{ policy: { appId: 'one' } }])
    const policies = createPolicySource({ store })
    const request = requestOf()
    expect(await found(request, policies, 'one')).toBe('one')
    await store.write({ policy: { appId: 'one', name: 'renamed' } }, 1)
    expect(await found(request, policies, 'one')).toBe('one')
    expect(request.app?.revision).toBe(1)
    const next = requestOf()
    await found(next, policies, 'one')
    expect(next.app?.revision).toBe(2)
  })
})

describe('an effect', () => {
  it('is stored for its place and key only', () => {
    const request = requestOf()
    const [place, other] = [{}, {}]
    request.rememberEffect(place, 'shop', 'key', 'result')
    request.rememberEffect(place, 'shop', 'later key', 'later result')
    request.rememberEffect(place, 'shop', 'key', 'second result')
    expect(request.recallEffect(place, 'shop', 'key')).toBe('result')
    expect(request.recallEffect(place, 'shop', 'later key')).toBe('later result')
    expect(request.recallEffect(place, 'shop', 'another key')).toBeUndefined()
    expect(request.recallEffect(place, 'another shop', 'key')).toBeUndefined()
    expect(request.recallEffect(other, 'shop', 'key')).toBeUndefined()
    expect(requestOf().recallEffect(place, 'shop', 'key')).toBeUndefined()
  })
})
