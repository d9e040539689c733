import { afterEach, describe, expect, it } from '@jest/globals'
import { memoryStore, parsePolicy, type ManagedPolicyStore } from 'portcullis'
import { editsBetween } from '../../../src/console/draft-edits.ts'
import { APP, APP_DOCUMENT, startConsole, type Client, type ConsoleServer } from '../../support/console.ts'

let server: ConsoleServer
afterEach(async () => {
  await server.close()
  if (server.faults.length > 0) throw new AggregateError(server.faults, 'the console was at fault')
})

const allowing = (...ranges: readonly string[]) => ({
  policy: { ...APP, ipWhitelist: { mode: 'enforce', ranges } },
})

describe('a rollback', () => {
  it('is compared with the revision that it replaces, even if a colleague writes at that moment', async () => {
    const store = memoryStore([APP_DOCUMENT])
    await store.write(allowing('10.0.0.0/8', '192.0.2.1'), 1)
    let isWritten = false
    const busy: ManagedPolicyStore = {
      ...store,
      async read(appId) {
        const found = await store.read(appId)
        // Revision 1 admits less than the revision that was read, and more than the current one.
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

  it('breaks the glass only with a reason that somebody gave, and not with its automatic note', async () => {
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

describe('a draft', () => {
  it('is not out of date if only keys were changed', async () => {
    server = await startConsole()
    const ada = await server.signIn()
    const policy = { ...APP, name: 'Better' }
    await ada.ask('PUT', 'apps/shop/draft', { before: APP, policy })
    await ada.ask('POST', 'apps/shop/keys', { id: 'shop-2' })
    expect((await ada.ask('GET', 'apps/shop')).body.draft).toMatchObject({ base: 2, stale: false })
    const review = (await ada.ask('GET', 'apps/shop/review')).body
    expect([review.revision, review.conflict]).toEqual([2, undefined])
    const { body } = await ada.ask(
      'POST',
      'apps/shop/publication',
      { version: review.version },
      { 'if-match': '"2"' },
    )
    expect(body).toEqual({ revision: 3, replaced: 2 })
    expect((await server.store.keys('shop'))?.map(({ id }) => id)).toEqual(['shop-1', 'shop-2'])
  })

  it('is out of date if a policy was published, even if keys were changed after that', async () => {
    server = await startConsole()
    const ada = await server.signIn()
    await ada.ask('PUT', 'apps/shop/draft', { before: APP, policy: { ...APP, name: 'Better' } })
    await server.store.write(allowing('10.0.0.0/9'), 1)
    await ada.ask('POST', 'apps/shop/keys', { id: 'shop-2' })
    expect((await ada.ask('GET', 'apps/shop')).body.draft).toMatchObject({ base: 1, stale: true })
    const { version, conflict } = (await ada.ask('GET', 'apps/shop/review')).body
    expect(conflict.theirChanges).toMatchObject([{ path: 'ipWhitelist.ranges' }])
    const { status } = await ada.ask('POST', 'apps/shop/publication', { version }, { 'if-match': '"3"' })
    expect(status).toBe(412)
  })
})

describe('an edit on a page that was loaded before a colleague published', () => {
  const edit = async (maxAge: number) => {
    server = await startConsole()
    const ada = await server.signIn()
    const before = (await ada.ask('GET', 'apps/shop')).body.policy
    const published = { ...APP, regionPin: { mode: 'report' }, serverOnly: { mode: 'enforce', maxAge: 60 } }
    await server.store.write({ policy: published }, 1)
    const policy = { ...before, serverOnly: { ...before.serverOnly, maxAge } }
    return { before, answer: (of = policy) => ada.ask('PUT', 'apps/shop/draft', { before, policy: of }) }
  }

  it('keeps the published changes, and adds to them', async () => {
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

  it('needs a decision if both changed the same member', async () => {
    const { answer } = await edit(90)
    const { status, body } = await answer()
    expect([status, body.code, body.conflict?.conflicts]).toEqual([
      412,
      'REVISION_STALE',
      ['serverOnly.maxAge'],
    ])
  })
})

describe('a change to a revision', () => {
  /** The request to each route that needs `If-Match`, for which revision 1 is stale. */
  const CHANGES: Readonly<Record<string, () => readonly [path: string, body: unknown]>> = {
    'PUT /apps/{appId}/policy': () => ['apps/shop/policy', APP],
    'DELETE /apps/{appId}': () => ['apps/shop', { appId: 'shop' }],
    'POST /apps/{appId}/publication': () => ['apps/shop/publication', { version }],
    'POST /apps/{appId}/rollback': () => ['apps/shop/rollback', { to: 1 }],
    'PUT /lists/{name}': () => ['lists/office', { add: '192.0.2.1' }],
  }
  let version: string

  it('is refused without an entity tag, or with an invalid or stale one, on every route', async () => {
    server = await startConsole()
    const ada = await server.signIn()
    const { body: document } = await ada.ask('GET', 'openapi.json')
    const conditional = Object.entries(
      document.paths as Record<string, Record<string, { parameters: { name: string }[] }>>,
    ).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, { parameters }]) =>
        parameters.some(({ name }) => name === 'If-Match') ? [`${method.toUpperCase()} ${path}`] : [],
      ),
    )
    expect(conditional.toSorted()).toEqual(Object.keys(CHANGES).toSorted())

    await ada.ask('PUT', 'lists/office', {}, { 'if-match': '"0"' })
    await ada.ask('PUT', 'lists/office', { add: '198.51.100.1' }, { 'if-match': '"1"' })
    const { body: app } = await ada.ask('PUT', 'apps/shop/draft', {
      before: APP,
      policy: { ...APP, name: 'New' },
    })
    version = app.draft.version
    await server.store.write(allowing('10.0.0.0/9'), 1)
    for (const [route, change] of Object.entries(CHANGES)) {
      const [path, body] = change()
      const answer = async (headers?: Record<string, string>, content = body) => {
        const { status, body: problem } = await ada.ask(route.split(' ')[0] ?? '', path, content, headers)
        return [route, headers?.['if-match'], status, problem.code]
      }
      server.sink.clear()
      // It is refused before the content is read, and before anything is recorded.
      for (const content of [body, 'no JSON'])
        expect(await answer({}, content)).toEqual([route, undefined, 428, 'REVISION_REQUIRED'])
      expect(server.sink.events()).toEqual([])
      for (const tag of ['2', 'W/"2"', '"x"', '*', '"2", "1"', '"-1"', '"1e3"'])
        expect(await answer({ 'if-match': tag })).toEqual([route, tag, 400, 'REQUEST_INVALID'])
      expect(await answer({ 'if-match': '"1"' })).toEqual([route, '"1"', 412, 'REVISION_STALE'])
    }
    expect((await server.store.read('shop'))?.revision).toBe(2)
  })
})

describe('two edits of one draft', () => {
  /** Each member that a page can edit, with two new values. */
  const MEMBERS: readonly (readonly [path: string, one: unknown, other: unknown])[] = [
    ['name', 'One', 'Other'],
    ['serverOnly.mode', 'report', 'off'],
    ['serverOnly.maxAge', 60, 90],
    ['ipWhitelist.mode', 'report', 'off'],
    ['domainProtect.mode', 'enforce', 'off'],
    ['domainProtect.server', 'signed', 'none'],
    ['returnUrlGuard.mode', 'report', 'off'],
    ['regionPin.mode', 'report', 'enforce'],
    ['regionPin.onMisdirected', 'redirect', 'handOver'],
    ['regionPin.fallback', 'europe', 'world'],
    ['auditAccess.mode', 'report', 'off'],
  ]
  /** Members with two values, where both people can only choose the same. */
  const SWITCHES: readonly (readonly [path: string, wanted: unknown])[] = [
    ['serverOnly.requireDigest', false],
    ['serverOnly.requireContentType', false],
    ['domainProtect.credentials', true],
    ['auditAccess.onSinkFailure', 'allow'],
  ]
  /** Lists to which both people add entries. */
  const LISTS: readonly (readonly [path: string, one: unknown, other: unknown])[] = [
    ['ipWhitelist.ranges', '192.0.2.1', '192.0.2.2'],
    ['ipWhitelist.deny', '10.0.0.1', '10.0.0.2'],
    ['ipWhitelist.lists', 'office', 'home'],
    ['ipWhitelist.denyLists', 'office', 'home'],
    ['domainProtect.domains', 'https://a.example', 'https://b.example'],
    ['domainProtect.methods', 'GET', 'POST'],
    ['domainProtect.headers', 'x-a', 'x-b'],
    ['returnUrlGuard.urls', 'https://a.example/', { exact: 'https://b.example/' }],
  ]

  type Members = Readonly<Record<string, unknown>>
  const BEFORE = parsePolicy(APP)
  const withMember = (path: string, value: unknown): object => {
    const [section = '', member] = path.split('.')
    if (member === undefined) return { ...APP, [section]: value }
    return { ...APP, [section]: { ...(APP as unknown as Record<string, Members>)[section], [member]: value } }
  }
  const memberOf = (policy: unknown, path: string): unknown =>
    path.split('.').reduce<unknown>((value, name) => (value as Members | undefined)?.[name], policy)
  type Way = (client: Client, policy: object) => ReturnType<Client['ask']>
  const WAYS: Readonly<Record<string, Way>> = {
    'whole policies': (client, policy) => client.ask('PUT', 'apps/shop/draft', { before: APP, policy }),
    'single edits': (client, policy) =>
      client.ask('POST', 'apps/shop/draft/edits', { revision: 1, edits: editsBetween(BEFORE, policy) }),
  }
  /** Both edits start from the published policy. Resolves with the answer to the second one. */
  const editTwice = async (one: object, other: object, way: Way) => {
    server = await startConsole()
    const [ada, bob] = [await server.signIn(), await server.signIn('look', 'widen')]
    expect((await way(ada, one)).status).toBe(200)
    const answer = await way(bob, other)
    return { ...answer, kept: (await ada.ask('GET', 'apps/shop')).body.draft.policy as object }
  }

  describe.each(Object.entries(WAYS))('sent as %s', (_name, way) => {
    it.each(MEMBERS)(
      '%s: the second person must decide, and the first edit stays',
      async (path, one, other) => {
        const { status, body, kept } = await editTwice(withMember(path, one), withMember(path, other), way)
        expect([status, body.code, body.conflict.conflicts]).toEqual([412, 'REVISION_STALE', [path]])
        expect(memberOf(kept, path)).toEqual(one)
      },
    )

    it.each(SWITCHES)('%s: equal edits need no decision', async (path, wanted) => {
      const edited = withMember(path, wanted)
      const { status, kept } = await editTwice(edited, edited, way)
      expect([status, memberOf(kept, path)]).toEqual([200, wanted])
    })

    it.each(LISTS)('%s: both entries are kept', async (path, one, other) => {
      const before = (memberOf(APP, path) ?? []) as readonly unknown[]
      const edited = (entry: unknown) => withMember(path, [...before, entry])
      const { status, kept } = await editTwice(edited(one), edited(other), way)
      expect([status, new Set(memberOf(kept, path) as unknown[])]).toEqual([
        200,
        new Set([...before, other, one]),
      ])
    })
  })
})
