import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { KINDS, makePlace, type Place } from './stores.ts'

const shop = (ranges: readonly string[], more: object = {}): object => ({
  appId: 'shop',
  ipWhitelist: { mode: 'enforce', ranges },
  ...more,
})
const NARROW = shop(['192.0.2.0/24'])
const WIDE = shop(['192.0.2.0/24', '198.51.100.0/24'])

describe.each(KINDS)('policies in a store of the kind %s', (kind) => {
  let place: Place
  beforeAll(() => {
    place = makePlace(kind)
  })
  afterAll(() => place.remove())
  const run: Place['run'] = (line, more) => place.run(line, more)
  const write = (name: string, value: unknown): void =>
    writeFileSync(join(place.directory, name), typeof value === 'string' ? value : JSON.stringify(value))
  const read = (name: string): string => readFileSync(join(place.directory, name), 'utf8')

  it('set writes a new revision, shows the changes, and checks the revision', async () => {
    write('narrow.json', NARROW)
    write('wide.json', WIDE)
    if (kind === 'file')
      expect((await run('policy set narrow.json')).error).toContain(
        'create one with `npx portcullis app create APP --store file:store`',
      )
    expect((await run('app create shop')).code).toBe(0)
    const first = await run('policy set narrow.json --note "first office"')
    expect([first.code, first.out]).toEqual([0, 'shop is at revision 2\n'])
    const second = await run('policy set wide.json --if-revision 2')
    expect([second.code, second.error]).toEqual([0, '+ ipWhitelist.ranges: 198.51.100.0/24\n'])
    const stale = await run('policy set narrow.json --if-revision 2')
    expect([stale.code, stale.error]).toEqual([
      1,
      expect.stringContaining('is at revision 3, the write expected 2'),
    ])
    expect((await run('policy set wide.json')).out).toBe('shop stays at revision 3\n')
    expect((await run('policy set - --if-revision 0', { input: JSON.stringify(NARROW) })).code).toBe(1)
  })

  it('set refuses an invalid policy, and shows the valid form', async () => {
    const refused = await run('policy set -', { input: JSON.stringify(shop(['192.0.2.1/24', '010.0.0.1'])) })
    expect([refused.code, refused.error.split('\n').slice(0, 3)]).toEqual([
      1,
      [
        'portcullis policy set: refused:',
        expect.stringContaining(
          'ipWhitelist.ranges[0] ("192.0.2.1/24"): host bits are set; write `192.0.2.0/24`',
        ),
        expect.stringContaining('ipWhitelist.ranges[1]'),
      ],
    ])
    expect((await run('policy set -', { input: '{"appId":' })).error).toContain(
      '`-` is not JSON: line 1, column 10: the text ends too early; a closing bracket, brace or quotation mark is missing',
    )
    expect((await run('policy set -', { input: '{}' })).error).toContain(
      'must contain a policy with an `appId`',
    )
    const asJson = await run('policy set - --json', { input: JSON.stringify(shop(['192.0.2.1/24'])) })
    expect(JSON.parse(asJson.error).error.code).toBe('POLICY_INVALID')
  })

  it('set --fail-on writes nothing if lint finds something', async () => {
    const everybody = JSON.stringify(shop(['0.0.0.0/0', '::/0']))
    const refused = await run('policy set - --fail-on danger', { input: everybody })
    expect([refused.code, refused.error]).toEqual([3, expect.stringContaining('nothing was written')])
    expect((await run('policy get shop')).error).toBe('revision 3\n')
    expect((await run('policy set - --fail-on dangr', { input: everybody })).error).toContain(
      'did you mean `danger`?',
    )
  })

  it('no command writes a policy that breaks its own expectations', async () => {
    const expects = [
      { name: 'the office', request: { address: '192.0.2.7' }, guards: ['ipWhitelist'], effect: 'allow' },
    ]
    const broken = shop(['198.51.100.0/24'], { expect: expects })
    write('broken.json', broken)
    mkdirSync(join(place.directory, 'broken'))
    write('broken/shop.json', broken)
    for (const line of ['policy set broken.json', 'policy push broken --force', 'policy plan broken.json']) {
      const refused = await run(line)
      expect([line, refused.code, `${refused.out}${refused.error}`]).toEqual([
        line,
        3,
        expect.stringContaining('the office'),
      ])
    }
    expect(
      (await run('app create other --policy -', { input: JSON.stringify({ ...broken, appId: 'other' }) }))
        .code,
    ).toBe(3)
    const edited = await run('policy edit shop', {
      env: { EDITOR: `cp ${join(place.directory, 'broken.json')}` },
    })
    expect([edited.code, edited.error]).toEqual([3, expect.stringContaining('your text is in')])
    rmSync(/is in (\S+)/.exec(edited.error)?.[1] ?? '')
    expect((await run('policy get shop')).error).toBe('revision 3\n')
  })

  it('get writes the current or an earlier policy, in the form that set reads', async () => {
    const got = await run('policy get shop')
    expect((await run('policy set - --if-revision 3', { input: got.out })).out).toBe(
      'shop stays at revision 3\n',
    )
    expect(JSON.parse((await run('policy get shop --revision 2')).out)).toMatchObject(NARROW)
    expect((await run('policy get shop --revision 9')).code).toBe(3)
    expect((await run('policy get nobody')).code).toBe(3)
  })

  it('diff and compare show what differs, and who gains access', async () => {
    const diff = await run('policy diff shop@2 shop')
    expect([diff.code, diff.out]).toEqual([3, '+ ipWhitelist.ranges: 198.51.100.0/24\n'])
    expect((await run('policy diff shop wide.json')).code).toBe(0)
    expect((await run('policy diff shop -', { input: JSON.stringify(WIDE) })).code).toBe(0)
    const wider = await run('policy compare shop@2 shop')
    expect([wider.code, wider.out]).toEqual([3, expect.stringMatching(/^wider: .*198\.51\.100\./)])
    expect((await run('policy compare shop@2 shop --fail-on narrower')).code).toBe(0)
    expect((await run('policy compare shop narrow.json')).code).toBe(0)
    expect((await run('policy compare shop narrow.json --fail-on differs')).code).toBe(3)
    expect((await run('policy compare shop wide.json --fail-on differs')).code).toBe(0)
  })

  it('history shows who wrote what and why, and rollback restores a policy', async () => {
    const history = await run('policy history shop')
    expect(history.out.split('\n')).toEqual([
      expect.stringMatching(/^3 +\S+Z +tester$/),
      expect.stringMatching(/^2 +\S+Z +tester +first office$/),
      expect.stringMatching(/^1 /),
      '',
    ])
    expect((await run('policy history shop --limit 1 --before 3')).out).toMatch(/^2 .*\n$/)
    expect((await run('policy history nobody')).code).toBe(3)
    expect((await run('policy rollback shop')).error).toContain('`--to` is missing')
    expect((await run('policy rollback shop --to 2')).code).toBe(2)
    const terminals = { input: true, error: true }
    expect((await run('policy rollback shop --to 2', { terminals, input: '\n' })).code).toBe(3)
    const back = await run('policy rollback shop --to 2 --yes')
    expect([back.code, back.out, back.error]).toEqual([
      0,
      'shop is at revision 4, with the policy of revision 2\n',
      '- ipWhitelist.ranges: 198.51.100.0/24\n',
    ])
    expect((await run('policy rollback shop --to 4 --yes')).code).toBe(2)
    expect((await run('policy rollback shop --to 9 --yes')).code).toBe(1)
    expect((await run('policy rollback shop --to 1 --yes --if-revision 3')).code).toBe(1)
  })

  it('edit writes the edited policy, and keeps the text if it is refused', async () => {
    const editor = (script: string): { env: Record<string, string> } => ({
      env: { EDITOR: `sed -i '${script}'` },
    })
    const edited = await run('policy edit shop', editor('s#192.0.2.0/24#203.0.113.0/24#'))
    expect([edited.code, edited.out]).toEqual([0, 'shop is at revision 5\n'])
    expect((await run('policy edit shop', editor(''))).out).toBe('shop stays at revision 5\n')
    const refused = await run('policy edit shop', editor('s#203.0.113.0/24#203.0.113.1/24#'))
    expect([refused.code, refused.error]).toEqual([1, expect.stringContaining('host bits are set')])
    const kept = /is in (\S+)/.exec(refused.error)?.[1] ?? ''
    expect(readFileSync(kept, 'utf8')).toContain('203.0.113.1/24')
    rmSync(kept)
    const text = await run('policy edit shop', editor('1d'))
    expect([text.code, text.error]).toEqual([1, expect.stringContaining('is not JSON')])
    rmSync(/is in (\S+)/.exec(text.error)?.[1] ?? '')
    expect((await run('policy edit shop', { env: { VISUAL: 'false' } })).error).toContain(
      'the editor `false` ended with code 1',
    )
    expect((await run('policy edit nobody', editor(''))).code).toBe(3)
  })

  it('try shows what the guards would decide, with the lists of the store', async () => {
    const inside = await run('policy try shop --url https://gateway.example/ --address 203.0.113.7')
    expect([inside.code, inside.out]).toEqual([3, expect.stringMatching(/^deny .*PROTECTION_NOT_CONFIGURED/)])
    write('lone.json', {
      appId: 'lone',
      ...Object.fromEntries(
        ['serverOnly', 'domainProtect', 'returnUrlGuard', 'regionPin', 'auditAccess'].map((name) => [
          name,
          { mode: 'off' },
        ]),
      ),
      ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/24'], lists: ['office'] },
    })
    expect((await run('app create lone --policy lone.json')).code).toBe(0)
    expect((await run('list import office -', { input: '203.0.113.9 # the door\n' })).code).toBe(0)
    const tried = (address: string): Promise<{ code: number; out: string }> =>
      run(`policy try lone --url https://gateway.example/ --address ${address}`)
    expect((await tried('192.0.2.9')).code).toBe(0)
    expect((await tried('203.0.113.9')).code).toBe(0)
    const refused = await tried('203.0.113.10')
    expect([refused.code, refused.out]).toEqual([
      3,
      expect.stringMatching(
        /deny +ipWhitelist +ADDRESS_NOT_ALLOWED[^]*192\.0\.2\.0\/24[^]*would be refused\n$/,
      ),
    ])
    write('request.json', {
      url: 'https://gateway.example/',
      address: '192.0.2.1',
      headers: { accept: '*/*' },
    })
    expect((await run('policy try ./lone.json --request request.json')).code).toBe(0)
    expect(
      (await run('policy try lone --request - --address 10.0.0.1', { input: '{"address":"192.0.2.1"}' }))
        .code,
    ).toBe(3)
  })

  it('try prefers the header of an option to that of the file, in any case of the name', async () => {
    write('domains.json', {
      appId: 'shop',
      domainProtect: { mode: 'enforce', domains: ['https://a.example'] },
    })
    write('evil.json', { url: 'https://gateway.example/', headers: { ORIGIN: 'https://evil.example' } })
    const tried = async (more: string): Promise<string> =>
      (await run(`policy try ./domains.json --request evil.json ${more}`)).out
    expect(await tried('')).toMatch(/deny +domainProtect +ORIGIN_NOT_ALLOWED/)
    expect(await tried('--header "Origin: https://a.example"')).toMatch(/allow +domainProtect/)
  })

  it('try lists the guards that it has not asked', async () => {
    write('pinned.json', {
      appId: 'pinned',
      ...Object.fromEntries(
        ['serverOnly', 'ipWhitelist', 'domainProtect', 'auditAccess'].map((name) => [name, { mode: 'off' }]),
      ),
      returnUrlGuard: { mode: 'enforce', urls: ['https://a.example/'] },
      regionPin: { mode: 'off' },
    })
    const asked = async (more: string): Promise<string> =>
      (await run(`policy try ./pinned.json --url https://x.example/ ${more}`)).out
    expect(await asked('')).toMatch(
      /not checked: returnUrlGuard \(give `--return-url`\)\nthe request would pass the guards that were checked\n$/,
    )
    expect(await asked('--return-url https://a.example/')).toMatch(/the request would pass\n$/)
  })

  it('try refuses impossible requests, and credentials in arguments', async () => {
    const refused = async (line: string, input?: string): Promise<string> => {
      const ended = await run(`policy try lone ${line}`, { input })
      return `${ended.code} ${ended.error}`
    }
    expect(await refused('')).toContain('2 portcullis policy try: `--url` or `--request` is missing')
    expect(await refused('--url /auth')).toContain('must be an absolute URL')
    expect(await refused('--url https://x.example/ --address 203.0.113')).toContain(
      '2 portcullis policy try: `--address` must be an IPv4 or IPv6 address such as `203.0.113.7`, got `203.0.113`',
    )
    expect(await refused('--url https://x.example/ --here pari')).toContain(
      '2 portcullis policy try: `--here` must be one of london, frankfurt, dallas, got `pari`',
    )
    expect(await refused('--url https://x.example/ --request -', '{"address":"203.0.113"}')).toContain(
      '2 portcullis policy try: `address` of the request must be an IPv4 or IPv6 address',
    )
    expect(await refused('--url https://x.example/ --header nonsense')).toContain(
      'must be written as `Name: value`',
    )
    expect(await refused('--url https://x.example/ --header "Cookie: sid=1"')).toContain(
      'others can see `cookie` in an argument',
    )
    expect(await refused('--url https://x.example/ --header "Origin: a" --header "origin: b"')).toContain(
      '2 portcullis policy try: `--header` gives `origin` twice',
    )
    expect(await refused('--request -', '{"headers":{"Origin":"a","origin":"b"}}')).toContain(
      '`headers.origin` in `-` must appear once',
    )
    expect(await refused('--request -', '{"adress":"192.0.2.1"}')).toContain('did you mean `address`?')
    expect(await refused('--request -', '[]')).toContain('must contain a request')
    expect(await refused('--request -', '{"url":5}')).toContain('`url` in `-`')
    expect(await refused('--url https://x.example/ --body-file nowhere')).toContain(
      'there is no file `nowhere`',
    )
    expect((await run('policy try - --url https://x.example/ --request -', { input: '{}' })).code).toBe(2)
  })

  it('plan shows what would change and who gains access, and apply carries it out once', async () => {
    mkdirSync(join(place.directory, 'tree'))
    write('tree/shop.json', WIDE)
    write('tree/new.json', { appId: 'new' })
    const plan = await run('policy plan tree --out plan.json --prune')
    expect([plan.code, plan.out]).toEqual([
      0,
      expect.stringMatching(
        /^create new\n[^]*update shop at revision 5\n[^]*remove lone[^]*3 apps would change\n$/,
      ),
    ])
    expect(plan.out).toMatch(/ {2}(wider|both): /)
    expect((await run('policy plan tree --fail-on changes')).code).toBe(3)
    expect((await run('policy plan tree --fail-on wider')).code).toBe(3)
    expect((await run('policy set narrow.json')).code).toBe(0)
    const stale = await run('policy apply plan.json')
    expect([stale.code, stale.error]).toEqual([
      1,
      expect.stringContaining('is at revision 6, the write expected 5'),
    ])
    expect((await run('app show new')).code).toBe(3)
    expect((await run('policy plan tree --out plan.json')).code).toBe(0)
    const applied = await run('policy apply plan.json')
    expect([applied.code, applied.out]).toEqual([0, '2 apps changed\n'])
    expect((await run('policy apply plan.json')).code).toBe(1)
    expect((await run('policy plan tree --fail-on changes')).out).toBe('nothing would change\n')
  })

  it('apply accepts only a plan for this store', async () => {
    const plan = JSON.parse(read('plan.json'))
    write('other.json', { ...plan, place: 'redis://elsewhere:6379' })
    expect((await run('policy apply other.json')).error).toContain(
      'the plan was made for the store redis://elsewhere:6379',
    )
    for (const wrong of [
      { ...plan, schemaVersion: 2 },
      [],
      'null',
      { ...plan, changes: [{ action: 'update', appId: 'a', replaces: 1 }] },
    ]) {
      write('wrong.json', wrong)
      expect([wrong, (await run('policy apply wrong.json')).code]).toEqual([wrong, 2])
    }
  })

  it('pull and push support apps whose ids begin with a dot', async () => {
    for (const appId of ['.hidden', '.portcullis', '.portcullis-revisions']) {
      write('dotted.json', { appId })
      expect((await run('policy set dotted.json')).code).toBe(0)
    }
    await run('policy pull dots')
    expect((await run('policy push dots --prune --yes')).out).toBe('0 apps changed\n')
    expect((await run('policy get .portcullis')).code).toBe(0)
    for (const appId of ['.hidden', '.portcullis', '.portcullis-revisions'])
      expect((await run(`app delete ${appId} --yes`)).code).toBe(0)
  })

  it('pull writes files, push writes them back, and neither loses the changes of others', async () => {
    const pulled = await run('policy pull git')
    expect([pulled.code, pulled.out]).toEqual([0, '3 apps in git, 3 new or changed\n'])
    expect(readdirSync(join(place.directory, 'git')).toSorted()).toEqual([
      '.portcullis-revisions',
      'lone.json',
      'new.json',
      'shop.json',
    ])
    expect((await run('policy pull git')).out).toBe('3 apps in git, 0 new or changed\n')
    expect((await run('policy push git')).out).toBe('0 apps changed\n')
    write('git/new.json', { appId: 'new', name: 'From git' })
    expect((await run('policy push git --note "pull request 7"')).out).toBe('1 app changed\n')
    expect((await run('policy history new --limit 1')).out).toContain('pull request 7')
    // Another person writes both apps. One of the files differs.
    await run('policy set -', { input: JSON.stringify({ appId: 'new', name: 'By hand' }) })
    write('git/shop.json', NARROW)
    const conflict = await run('policy push git')
    expect([conflict.code, conflict.error]).toEqual([1, expect.stringContaining('app `new` is at revision')])
    expect((await run('policy diff shop ./git/shop.json')).code).toBe(3)
    expect((await run('policy push git --force')).out).toBe('2 apps changed\n')
    expect((await run('policy diff new ./git/new.json')).code).toBe(0)
  })

  it('push writes all or nothing, and removes apps only with its option', async () => {
    write('git/bad.json', { appId: 'bad', ipWhitelist: { mode: 'enforce', ranges: ['x'] } })
    write('git/shop.json', WIDE)
    const refused = await run('policy push git')
    expect([refused.code, refused.error]).toEqual([
      1,
      expect.stringContaining('bad.json: ipWhitelist.ranges[0]'),
    ])
    expect((await run('policy diff shop ./git/shop.json')).code).toBe(3)
    rmSync(join(place.directory, 'git/bad.json'))
    write('git/twice.json', WIDE)
    expect((await run('policy push git')).error).toContain('are both policies for the app `shop`')
    rmSync(join(place.directory, 'git/twice.json'))
    rmSync(join(place.directory, 'git/lone.json'))
    expect((await run('policy push git')).out).toBe('1 app changed\n')
    expect((await run('app show lone')).code).toBe(0)
    expect((await run('policy push git --prune')).code).toBe(2)
    const terminals = { input: true, error: true }
    expect((await run('policy push git --prune', { terminals, input: 'no\n' })).code).toBe(3)
    expect((await run('policy push git --prune --yes')).out).toBe('1 app changed\n')
    expect((await run('app show lone')).code).toBe(3)
    write('git/.portcullis-revisions', 'nonsense')
    expect((await run('policy push git')).error).toContain('is damaged')
  })

  it('pull --prune removes files of apps that no longer exist', async () => {
    rmSync(join(place.directory, 'git/.portcullis-revisions'))
    await run('policy pull git')
    await run('app delete new --yes')
    expect((await run('policy pull git')).error).toContain('new is no longer in the store')
    expect(readdirSync(join(place.directory, 'git'))).toContain('new.json')
    await run('app create new')
    await run('policy pull git')
    await run('app delete new --yes')
    await run('policy pull git --prune')
    expect(readdirSync(join(place.directory, 'git')).toSorted()).toEqual([
      '.portcullis-revisions',
      'shop.json',
    ])
  })
})
