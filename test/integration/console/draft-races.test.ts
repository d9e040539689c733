import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { memoryStore, type ManagedPolicyStore } from 'portcullis'
import { memoryConsoleState, type ConsoleState } from 'portcullis/console'
import { APP, APP_DOCUMENT, startConsole, type Client, type ConsoleServer } from '../../support/console.ts'

/** Delays one answer of the store or the state, while other people continue. */
class Hold {
  /** The answer of the store instead of its contents. */
  behind: Awaited<ReturnType<ManagedPolicyStore['read']>>
  #next: { readonly what: readonly string[]; readonly opened: Promise<void>; reached(): void } | undefined

  /** Delays the next answer to one of these calls. */
  next(...what: readonly string[]): { readonly reached: Promise<void>; open(): void } {
    let open = (): void => undefined
    const opened = new Promise<void>((resolve) => (open = resolve))
    const reached = new Promise<void>((resolve) => {
      this.#next = { what, opened, reached: resolve }
    })
    return { reached, open }
  }

  async answered<Result>(what: string, answer: Promise<Result>): Promise<Result> {
    const result = await answer
    if (this.#next?.what.includes(what) !== true) return result
    const { reached, opened } = this.#next
    this.#next = undefined
    reached()
    await opened
    return result
  }

  store(inner: ManagedPolicyStore): ManagedPolicyStore {
    return {
      ...inner,
      read: (...given) =>
        this.answered('read', this.behind ? Promise.resolve(this.behind) : inner.read(...given)),
      remove: (...given) => this.answered('remove', inner.remove(...given)),
    }
  }

  state(inner: ConsoleState): ConsoleState {
    return {
      ...inner,
      read: (key) => this.answered(key.startsWith('draft:') ? 'draft' : '', inner.read(key)),
    }
  }
}

let hold: Hold
let server: ConsoleServer
let ada: Client
let bob: Client
beforeEach(async () => {
  hold = new Hold()
  server = await startConsole({
    store: hold.store(memoryStore([APP_DOCUMENT])),
    state: hold.state(memoryConsoleState()),
  })
  ada = await server.signIn()
  bob = await server.signIn()
})
afterEach(async () => {
  await server.close()
  if (server.faults.length > 0) throw new AggregateError(server.faults, 'the console was at fault')
})

const draftOf = async (appId: string) => (await ada.ask('GET', `apps/${appId}`)).body.draft
const renamed = { ...APP, name: 'Shop 2' }

/**
 * Sends a request, delays the first answer to one of `what` until the work of the others is done, and returns the
 * response.
 */
async function meanwhile(
  what: readonly string[],
  ask: () => ReturnType<Client['ask']>,
  work: () => Promise<void>,
): ReturnType<Client['ask']> {
  const { reached, open } = hold.next(...what)
  const asked = ask()
  expect(await Promise.race([reached.then(() => 'held'), asked.then(() => 'answered')])).toBe('held')
  await work()
  open()
  return asked
}

/** Ada publishes, and then edits the draft back to the old text. */
async function publishAndEdit(): Promise<void> {
  const { status, body } = await ada.ask('PUT', 'apps/shop/policy', renamed, { 'if-match': '"1"' })
  expect([status, body.revision]).toEqual([200, 2])
  const saved = await ada.ask('PUT', 'apps/shop/draft', { before: renamed, policy: APP })
  expect([saved.status, saved.body.draft.base]).toEqual([200, 2])
}

/** Ada creates the app, and edits it. */
async function makeAndEdit(appId: string): Promise<void> {
  expect((await ada.ask('POST', 'apps', { appId })).status).toBe(201)
  const { policy } = (await ada.ask('GET', `apps/${appId}`)).body
  const edit = { before: policy, policy: { ...policy, name: 'Made by Ada' } }
  expect((await ada.ask('PUT', `apps/${appId}/draft`, edit)).status).toBe(200)
}

describe('a saved draft is kept', () => {
  it('if a read that began before it ends after it', async () => {
    const look = await meanwhile(['read'], () => bob.ask('GET', 'apps/shop'), publishAndEdit)
    expect(look.status).toBe(200)
    expect(await draftOf('shop')).toMatchObject({ base: 2, policy: { name: 'Shop' } })
  })

  it('if an edit that began before it ends after it; the edit is refused', async () => {
    const edit = { before: APP, policy: { ...APP, name: 'Shop 3' } }
    const ask = () => bob.ask('PUT', 'apps/shop/draft', edit)
    const asked = await meanwhile(['read'], ask, publishAndEdit)
    expect([asked.status, asked.body.code]).toEqual([412, 'REVISION_STALE'])
    expect(await draftOf('shop')).toMatchObject({ base: 2, policy: { name: 'Shop' } })
  })

  it('if the store returns an earlier revision than that of the draft', async () => {
    await publishAndEdit()
    hold.behind = { policy: APP, keys: [], revision: 1 }
    expect(await draftOf('shop')).toMatchObject({ base: 2, policy: { name: 'Shop' } })
    hold.behind = undefined
    expect(await draftOf('shop')).toMatchObject({ base: 2, policy: { name: 'Shop' } })
  })

  const fresh = { ...APP, appId: 'fresh' }
  it.each([
    ['POST', 'apps', { appId: 'fresh' }],
    ['PUT', 'apps/fresh/policy', fresh],
  ])('if a second %s %s began before the app was created', async (method, path, body) => {
    const ask = () => bob.ask(method, path, body, method === 'PUT' ? { 'if-match': '"0"' } : {})
    const asked = await meanwhile(['read', 'draft'], ask, () => makeAndEdit('fresh'))
    expect([asked.status, asked.body.code]).toEqual([409, 'ALREADY_THERE'])
    expect(await draftOf('fresh')).toMatchObject({ policy: { name: 'Made by Ada' } })
  })

  it.each([
    ['POST', 'apps', { appId: 'shop' }],
    ['PUT', 'apps/shop/policy', APP],
  ])('if a %s %s would create its app again', async (method, path, body) => {
    await ada.ask('PUT', 'apps/shop/draft', { before: APP, policy: renamed })
    const asked = await bob.ask(method, path, body, method === 'PUT' ? { 'if-match': '"0"' } : {})
    expect([asked.status, asked.body.code]).toEqual([409, 'ALREADY_THERE'])
    expect(await draftOf('shop')).toMatchObject({ policy: { name: 'Shop 2' } })
  })

  it.each(['remove', 'draft'])(
    'if its app was removed and created again just before it (%s)',
    async (what) => {
      await ada.ask('PUT', 'apps/shop/draft', { before: APP, policy: renamed })
      const remove = () => bob.ask('DELETE', 'apps/shop', { appId: 'shop' }, { 'if-match': '"1"' })
      const asked = await meanwhile([what], remove, () => makeAndEdit('shop'))
      expect(asked.status).toBe(204)
      expect(await draftOf('shop')).toMatchObject({ policy: { name: 'Made by Ada' } })
    },
  )
})

it('a draft is not discarded if somebody edits it while another person discards it, who is told so', async () => {
  const saved = await ada.ask('PUT', 'apps/shop/draft', { before: APP, policy: renamed })
  const { version } = saved.body.draft
  const rebase = () => bob.ask('POST', 'apps/shop/draft/rebase', { take: 'theirs', version })
  const edit = { version, before: renamed, policy: { ...APP, name: 'Shop 3' } }
  const asked = await meanwhile(['read'], rebase, async () => {
    expect((await ada.ask('PUT', 'apps/shop/draft', edit)).status).toBe(200)
  })
  expect([asked.status, asked.body.code]).toEqual([412, 'REVISION_STALE'])
  expect(await draftOf('shop')).toMatchObject({ policy: { name: 'Shop 3' } })
})

describe('a draft that remained when its app was removed', () => {
  it.each([
    ['POST', 'apps', { appId: 'shop' }],
    ['PUT', 'apps/shop/policy', APP],
  ])('ends when %s %s creates the app again', async (method, path, body) => {
    await ada.ask('PUT', 'apps/shop/draft', { before: APP, policy: renamed })
    await server.store.remove('shop', 1)
    const made = await ada.ask(method, path, body, method === 'PUT' ? { 'if-match': '"0"' } : {})
    expect(made.status).toBe(201)
    if (method === 'POST') expect(made.body.draft).toBeUndefined()
    expect(await draftOf('shop')).toBeUndefined()
  })
})
