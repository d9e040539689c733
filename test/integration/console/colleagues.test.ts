import { afterEach, describe, expect, it } from '@jest/globals'
import { memoryStore, type ManagedPolicyStore } from 'portcullis'
import { APP, APP_DOCUMENT, startConsole, type ConsoleServer } from '../../support/console.ts'

let server: ConsoleServer
afterEach(async () => {
  await server.close()
  if (server.faults.length > 0) throw new AggregateError(server.faults, 'the console was at fault')
})

const allowing = (...ranges: readonly string[]) => ({
  policy: { ...APP, ipWhitelist: { mode: 'enforce', ranges } },
})

describe('a rollback', () => {
  it('is judged against the revision that it replaces, also where a colleague writes just then', async () => {
    const store = memoryStore([APP_DOCUMENT])
    await store.write(allowing('10.0.0.0/8', '192.0.2.1'), 1)
    let isWritten = false
    const busy: ManagedPolicyStore = {
      ...store,
      async read(appId) {
        const found = await store.read(appId)
        // Revision 1 admits less than what is found, and more than what stands there by now.
        if (!isWritten) await store.write(allowing('10.0.0.0/9'), 2)
        isWritten = true
        return found
      },
    }
    server = await startConsole({ store: busy })
    const narrow = await server.signIn('look', 'narrow')
    const back = await narrow.ask('POST', 'apps/shop/rollback', { to: 1 }, { 'if-match': '"3"' })
    expect([back.status, back.body.code]).toEqual([412, 'REVISION_STALE'])
    expect(back.body.conflict.yours).toMatchObject({ ipWhitelist: { ranges: ['10.0.0.0/8'] } })
    expect((await store.read('shop'))?.policy).toMatchObject({ ipWhitelist: { ranges: ['10.0.0.0/9'] } })
  })

  it('breaks the glass with a reason that somebody gave, and not with the note that it writes itself', async () => {
    server = await startConsole()
    await server.store.write(allowing('10.0.0.0/9'), 1)
    const glass = await server.signIn('look', 'break-glass')
    const back = (note?: string) =>
      glass.ask('POST', 'apps/shop/rollback', { to: 1, note }, { 'if-match': '"2"' })
    for (const note of [undefined, '', 'too short'])
      expect([note, (await back(note)).body.code]).toEqual([note, 'PURPOSE_MISSING'])
    expect((await back('the office is shut out since noon')).status).toBe(200)
    const [latest] = await server.store.history('shop', { limit: 1 })
    expect(latest?.note).toBe('break glass: the office is shut out since noon')
    const ada = await server.signIn()
    await ada.ask('POST', 'apps/shop/rollback', { to: 2 }, { 'if-match': '"3"' })
    expect((await server.store.history('shop', { limit: 1 }))[0]?.note).toBe('roll back to revision 2')
  })
})

describe('an edit on a page that was shown before a colleague published', () => {
  const edit = async (maxAge: number) => {
    server = await startConsole()
    const ada = await server.signIn()
    const before = (await ada.ask('GET', 'apps/shop')).body.policy
    const published = { ...APP, regionPin: { mode: 'report' }, serverOnly: { mode: 'enforce', maxAge: 60 } }
    await server.store.write({ policy: published }, 1)
    const policy = { ...before, serverOnly: { ...before.serverOnly, maxAge } }
    return { before, answer: (of = policy) => ada.ask('PUT', 'apps/shop/draft', { before, policy: of }) }
  }

  it('keeps what was published, and adds to it', async () => {
    const { before, answer } = await edit(90)
    const elsewhere = { ...before, ipWhitelist: { ...before.ipWhitelist, ranges: ['10.0.0.0/9'] } }
    const { status, body } = await answer(elsewhere)
    expect([status, body.draft?.base]).toEqual([200, 2])
    expect(body.draft.policy).toMatchObject({
      regionPin: { mode: 'report' },
      serverOnly: { maxAge: 60 },
      ipWhitelist: { ranges: ['10.0.0.0/9'] },
    })
  })

  it('is asked about where both have changed one member', async () => {
    const { answer } = await edit(90)
    const { status, body } = await answer()
    expect([status, body.code, body.conflict?.conflicts]).toEqual([
      412,
      'REVISION_STALE',
      ['serverOnly.maxAge'],
    ])
  })
})
