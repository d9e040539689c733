import { describe, expect, it } from '@jest/globals'
import { createPolicySource, memoryStore, type PolicySource } from 'portcullis'
import type { GuardRequest } from '../../../src/http/handler.ts'
import { isUnresolved, JudgedRequest } from '../../../src/http/judged-request.ts'
import type { RequestFacts } from '../../../src/http/request/facts.ts'

interface Later {
  readonly promise: Promise<void>
  readonly resolve: () => void
}

function later(): Later {
  let resolve = (): void => undefined
  const promise = new Promise<void>((done) => (resolve = done))
  return { promise, resolve: () => resolve() }
}

/** A store that answers for an app on request. */
function slowSource(ids: readonly string[]): { policies: PolicySource; answer(id: string): void } {
  const answers = new Map(ids.map((id) => [id, later()]))
  const store = memoryStore(ids.map((appId) => ({ policy: { appId } })))
  const policies = createPolicySource({
    store: {
      async read(appId) {
        await answers.get(appId)?.promise
        return store.read(appId)
      },
    },
  })
  return { policies, answer: (id: string) => answers.get(id)?.resolve() }
}

describe('two guards that judge different apps in parallel', () => {
  it.each([{ order: ['one', 'two'] }, { order: ['two', 'one'] }])(
    'get their own, as does a later one, if the store answers $order',
    async ({ order }) => {
      const { policies, answer } = slowSource(order)
      // No fact is read.
      const request = new JudgedRequest({} as GuardRequest, {} as RequestFacts)
      const find = async (id: string): Promise<string | undefined> => {
        const app = await request.resolve({ policies, appId: () => id, optionTimeout: 1_000 })
        return isUnresolved(app) ? undefined : app.appId
      }
      const asked = { one: find('one'), two: find('two') }
      for (const id of order) {
        answer(id)
        await asked[id as keyof typeof asked]
      }
      expect(await Promise.all(Object.values(asked))).toEqual(['one', 'two'])
      expect(request.app?.appId).toBe('two')
      expect(await find('two')).toBe('two')
      expect(await find('one')).toBe('one')
    },
  )
})
