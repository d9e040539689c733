import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { memoryStore, type ManagedPolicyStore } from 'portcullis'
import { memoryConsoleState, type ConsoleState } from 'portcullis/console'
import { APP, APP_DOCUMENT, startConsole, type Client, type ConsoleServer } from '../../support/console.ts'

const store = (): ManagedPolicyStore => memoryStore([APP_DOCUMENT])

/** Once armed, everything fails that is called after the next change, until it is repaired. */
class Breaking {
  isArmed = false
  isBroken = false

  readonly #changed = <Result>(result: Result): Result => {
    this.isBroken ||= this.isArmed
    return result
  }

  readonly #check = (): void => {
    if (this.isBroken) throw new Error('it is away')
  }

  store(inner: ManagedPolicyStore): ManagedPolicyStore {
    const whole = async <Result>(work: Promise<Result>): Promise<Result> => this.#changed(await work)
    return {
      ...inner,
      read: async (...given) => (this.#check(), inner.read(...given)),
      keys: async (...given) => (this.#check(), inner.keys(...given)),
      write: (...given) => whole(inner.write(...given)),
      remove: (...given) => whole(inner.remove(...given)),
    }
  }

  /** Wraps only drafts, because sessions are read before any action. */
  state(inner: ConsoleState): ConsoleState {
    const isDraft = (key: string): boolean => key.startsWith('draft:')
    return {
      read: async (key) => {
        if (isDraft(key)) this.#check()
        return inner.read(key)
      },
      replace: async (key, ...given) => {
        if (!isDraft(key)) return inner.replace(key, ...given)
        this.#check()
        return this.#changed(await inner.replace(key, ...given))
      },
    }
  }
}

let breaking: Breaking
let server: ConsoleServer
let ada: Client
beforeEach(async () => {
  breaking = new Breaking()
  server = await startConsole({
    store: breaking.store(store()),
    state: breaking.state(memoryConsoleState()),
  })
  ada = await server.signIn()
})
afterEach(() => server.close())

const edited = { ...APP, name: 'New' }
const edit = () => ada.ask('PUT', 'apps/shop/draft', { before: APP, policy: edited })
const draft = async (): Promise<{ version: string } | undefined> =>
  (await ada.ask('GET', 'apps/shop')).body.draft
const version = async () => (await draft())?.version ?? ''

type Ask = () => ReturnType<Client['ask']>
interface Row {
  readonly what: string
  /** Prepares the test, and returns the request to send during the failure. */
  readonly prepare: () => Promise<Ask>
  readonly status: number
  readonly body?: object
  /** Checks the result after the repair. */
  readonly done: () => Promise<void>
}

const revision = async (wanted: number | undefined): Promise<void> =>
  expect((await server.store.read('shop'))?.revision).toBe(wanted)
const keys = async (...ids: readonly string[]): Promise<void> =>
  expect((await server.store.keys('shop'))?.map(({ id }) => id)).toEqual(ids)

const ROWS: readonly Row[] = [
  {
    what: 'an app is made',
    prepare: async () => () => ada.ask('POST', 'apps', { appId: 'fresh' }),
    status: 201,
    done: async () => expect(await server.store.read('fresh')).toMatchObject({ revision: 1 }),
  },
  {
    what: 'an app with a draft is removed',
    prepare: async () => {
      await edit()
      return () => ada.ask('DELETE', 'apps/shop', { appId: 'shop' }, { 'if-match': '"1"' })
    },
    status: 204,
    async done() {
      await revision(undefined)
      // Creating the app again does not restore the draft of the old one.
      expect((await ada.ask('POST', 'apps', { appId: 'shop' })).status).toBe(201)
      expect(await draft()).toBeUndefined()
    },
  },
  {
    what: 'a draft is edited',
    prepare: async () => edit,
    status: 204,
    done: async () => expect(await draft()).toMatchObject({ policy: { name: 'New' } }),
  },
  {
    what: 'members of a draft are edited',
    prepare: async () => () => {
      const edits = [{ path: 'name', before: 'Shop', after: 'New' }]
      return ada.ask('POST', 'apps/shop/draft/edits', { revision: 1, edits })
    },
    status: 204,
    done: async () => expect(await draft()).toMatchObject({ policy: { name: 'New' } }),
  },
  {
    what: 'a draft is thrown away',
    prepare: async () => {
      await edit()
      const content = { version: await version() }
      return () => ada.ask('DELETE', 'apps/shop/draft', content)
    },
    status: 204,
    done: async () => expect(await draft()).toBeUndefined(),
  },
  {
    what: 'a draft is put on another revision',
    prepare: async () => {
      await edit()
      await server.store.write({ policy: { ...APP, regionPin: { mode: 'report' } } }, 1)
      const content = { take: 'merged', version: await version() }
      return () => ada.ask('POST', 'apps/shop/draft/rebase', content)
    },
    status: 204,
    done: async () => expect(await draft()).toMatchObject({ base: 2, stale: false }),
  },
  {
    what: 'a draft is published',
    prepare: async () => {
      await edit()
      const content = { version: await version() }
      return () => ada.ask('POST', 'apps/shop/publication', content, { 'if-match': '"1"' })
    },
    status: 200,
    body: { revision: 2, replaced: 1 },
    async done() {
      await revision(2)
      expect(await draft()).toBeUndefined()
      // An edit starts from the published policy.
      await ada.ask('PUT', 'apps/shop/draft', { before: edited, policy: { ...edited, name: 'Newer' } })
      expect(await draft()).toMatchObject({ base: 2, stale: false })
    },
  },
  {
    what: 'a policy is rolled back',
    prepare: async () => {
      await server.store.write({ policy: edited }, 1)
      return () => ada.ask('POST', 'apps/shop/rollback', { to: 1 }, { 'if-match': '"2"' })
    },
    status: 200,
    body: { revision: 3, replaced: 2 },
    done: () => revision(3),
  },
  {
    what: 'a policy is written without a draft',
    prepare: async () => () => ada.ask('PUT', 'apps/shop/policy', edited, { 'if-match': '"1"' }),
    status: 200,
    body: { revision: 2, replaced: 1 },
    done: () => revision(2),
  },
  {
    what: 'a key is made, whose secret is never shown again',
    prepare: async () => () => ada.ask('POST', 'apps/shop/keys', { id: 'shop-2' }),
    status: 201,
    body: { id: 'shop-2', secret: expect.any(String) },
    done: () => keys('shop-1', 'shop-2'),
  },
  {
    what: 'a key is rotated',
    prepare: async () => () =>
      ada.ask('POST', 'apps/shop/keys/shop-1/rotation', { id: 'shop-2', overlap: 1 }),
    status: 201,
    body: { id: 'shop-2', secret: expect.any(String) },
    done: () => keys('shop-1', 'shop-2'),
  },
  {
    what: 'a key is revoked',
    prepare: async () => () => ada.ask('POST', 'apps/shop/keys/shop-1/revocation', { leaked: false }),
    status: 204,
    done: async () =>
      expect((await ada.ask('GET', 'apps/shop/keys')).body.keys).toMatchObject([{ state: 'ended' }]),
  },
  {
    what: 'a key is destroyed',
    prepare: async () => () => ada.ask('DELETE', 'apps/shop/keys/shop-1'),
    status: 204,
    done: () => keys(),
  },
]

describe('a completed action is reported as completed, even if everything is unreachable afterwards', () => {
  it.each(ROWS)('$what', async ({ prepare, status, body, done }) => {
    const ask = await prepare()
    server.sink.clear()
    breaking.isArmed = true
    const answered = await ask()
    expect([answered.status, breaking.isBroken]).toEqual([status, true])
    if (body === undefined) expect(answered.body).toBeUndefined()
    else expect(answered.body).toEqual(body)
    // The audit does not record a refusal.
    expect(server.sink.events()).toMatchObject([{ kind: 'operation', outcome: 'answered' }])
    breaking.isArmed = false
    breaking.isBroken = false
    await done()
    for (const fault of server.faults) expect(String(fault)).toContain('it is away')
  })
})
