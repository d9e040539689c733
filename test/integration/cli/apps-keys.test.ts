import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { KINDS, makePlace, type Place } from './stores.ts'

describe.each(KINDS)('apps and keys in a store of the kind %s', (kind) => {
  let place: Place
  beforeAll(() => {
    place = makePlace(kind)
  })
  afterAll(() => place.remove())
  const run: Place['run'] = (line, more) => place.run(line, more)
  const write = (name: string, text: string): void => writeFileSync(join(place.directory, name), text)

  it('app create creates an app, and says what to do next', async () => {
    const ended = await run('app create shop --name "A shop"')
    expect([ended.code, ended.out]).toEqual([0, 'shop is at revision 1\n'])
    expect(ended.error).toContain(
      `next:\n  npx portcullis policy edit shop ${place.options.join(' ')}\n  npx portcullis key create shop ${place.options.join(' ')}\n`,
    )
    const again = await run('app create shop')
    expect([again.code, again.error]).toEqual([
      1,
      expect.stringContaining('app `shop` is at revision 1, the write expected 0'),
    ])
  })

  it('app create reads a policy from a file or from standard input', async () => {
    const policy = JSON.stringify({ ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/24'] } })
    expect((await run('app create piped --policy -', { input: policy })).code).toBe(0)
    write('p.json', policy)
    expect((await run('app create filed --policy p.json')).code).toBe(0)
    expect((await run('policy diff piped@1 piped')).code).toBe(0)
    expect((await run('app create bad --policy -', { input: '[]' })).code).toBe(2)
    expect((await run('app create bad --policy -', { input: '{"appId":"other"}' })).code).toBe(2)
    const refused = await run('app create bad --policy -', { input: '{"ipWhitelst":{}}' })
    expect([refused.code, refused.error]).toEqual([1, expect.stringContaining('did you mean `ipWhitelist`?')])
    expect((await run('app create bad --policy nowhere.json')).error).toContain(
      'there is no file `nowhere.json`',
    )
    expect((await run('app create b{}d')).code).toBe(1)
  })

  it('names the variable of the vault key if the key is missing or wrong', async () => {
    write('empty.json', '{"appId":"sealed"}')
    expect((await run('app create sealed')).code).toBe(0)
    expect((await run('key create sealed')).code).toBe(0)
    for (const [key, reason] of [
      ['', 'the stored data is sealed, and the store has no `vault` to open it'],
      [
        randomBytes(32).toString('base64'),
        'it was sealed with another key or for another place, or was changed',
      ],
    ] as const) {
      for (const line of ['key list sealed', 'policy set empty.json']) {
        const ended = await run(line, { env: { PORTCULLIS_VAULT_KEY: key } })
        expect([ended.code, ended.error]).toEqual([1, expect.stringContaining(reason)])
        expect(ended.error).toContain('\nset PORTCULLIS_VAULT_KEY, or give `--vault-key-file`, ')
      }
    }
    expect((await run('app delete sealed --yes')).code).toBe(0)
  })

  it('app list shows all apps or some of them, sorted by id', async () => {
    const all = await run('app list')
    expect([all.code, all.out.split('\n').map((line) => line.split(' ')[0])]).toEqual([
      0,
      ['filed', 'piped', 'shop', ''],
    ])
    expect((await run('app list --limit 1 --after filed')).out).toMatch(/^piped +revision 1 +score \d+\n$/)
    expect((await run('app list --after zzz')).code).toBe(3)
    expect((await run('app list --limit none')).code).toBe(2)
  })

  it('key create shows a secret once, on standard output and nowhere else', async () => {
    const ended = await run('key create shop --valid-for 90d')
    expect([ended.code, ended.out]).toEqual([0, expect.stringMatching(/^[A-Za-z0-9+/]{43}=\n$/)])
    const secret = ended.out.trim()
    expect(ended.error).toMatch(/`shop-1` for the app `shop` \(hmac-sha256, until \d{4}-/)
    for (const line of [
      'app show shop',
      'app show shop --json',
      'key list shop --json',
      'policy history shop --json',
    ]) {
      const shown = await run(line)
      expect([shown.code, `${shown.out}${shown.error}`.includes(secret)]).toEqual([0, false])
    }
  })

  it('key create reads a secret from standard input, a file or the environment, and never shows it', async () => {
    const secret = randomBytes(32).toString('base64')
    write('secret', `${randomBytes(32).toString('base64')}\n`)
    const piped = await run('key create shop --id piped --secret-file -', { input: `${secret}\n` })
    expect([piped.code, piped.out]).toEqual([0, 'piped\n'])
    expect(piped.error).not.toContain(secret)
    expect((await run('key create shop --id filed --secret-file secret --as-env')).out).toBe(
      'APP_ID=shop\nKEY_ID=filed\n',
    )
    const env = { PORTCULLIS_APP_SECRET: randomBytes(32).toString('base64') }
    expect((await run('key create shop --id from-env --from-env', { env })).code).toBe(0)
    const short = await run('key create shop --secret-file -', { input: 'c2hvcnQ=' })
    expect([short.code, short.error, short.error.includes('c2hvcnQ=')]).toEqual([
      1,
      expect.stringContaining('at least 32 bytes'),
      false,
    ])
    expect((await run('key create shop --secret abc')).error).toContain('did you mean `--secret-file`?')
    expect((await run('key create shop --from-env')).error).toContain('PORTCULLIS_APP_SECRET is not set')
    expect((await run('key create shop --secret-file - --from-env')).code).toBe(2)
    expect((await run('key create shop --secret-file -', { terminals: { input: true } })).error).toContain(
      'a terminal',
    )
    expect((await run('key create shop --secret-file -', { input: '' })).code).toBe(2)
  })

  it('key create takes an Ed25519 public key, and refuses a private one', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    write('public.pem', publicKey.export({ type: 'spki', format: 'pem' }).toString())
    write('private.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
    write('rsa.pem', rsa.export({ type: 'spki', format: 'pem' }).toString())
    expect((await run('key create shop --id ed --public-key-file public.pem')).code).toBe(0)
    const refused = await run('key create shop --public-key-file private.pem')
    expect([refused.code, refused.error]).toEqual([2, expect.stringContaining('must stay with the app')])
    expect((await run('key create shop --public-key-file rsa.pem')).error).toContain(
      'must contain an Ed25519 public key',
    )
  })

  it('key create numbers keys, accepts times, and refuses invalid ones', async () => {
    const named = await run('key create shop --not-before 2030-01-01T00:00:00Z --valid-for 2d --as-env')
    expect(named.out).toMatch(/^APP_ID=shop\nKEY_ID=shop-6\nAPP_SECRET=\S{44}\n$/)
    expect((await run('key list shop')).out).toContain(
      'from 2030-01-01T00:00:00Z  until 2030-01-03T00:00:00.000Z',
    )
    expect((await run('key create shop --id piped')).error).toContain('already has a key with this id')
    expect((await run('key create shop --not-after tomorrow')).error).toContain('must be a time in ISO 8601')
    expect((await run('key create shop --valid-for 90days')).error).toContain(
      'must be a duration such as 90d',
    )
    expect((await run('key create shop --valid-for 1d --not-after 2030-01-01T00:00:00Z')).code).toBe(2)
  })

  it('key retire ends a key at a given time', async () => {
    expect((await run('key retire shop piped --at 2031-01-01T00:00:00Z')).out).toBe(
      'piped expires at 2031-01-01T00:00:00Z\n',
    )
    const weekly = await run('key retire shop filed')
    const end = Date.parse(/at (\S+)/.exec(weekly.out)?.[1] ?? '')
    expect(Math.abs(end - Date.now() - 7 * 86_400_000)).toBeLessThan(600_000)
    expect((await run('key retire shop none')).error).toContain('no key with this id')
    expect((await run('key retire shop piped --at 2031-01-01T00:00:00Z --in 1d')).code).toBe(2)
    expect((await run('key retire none piped')).code).toBe(3)
    expect((await run('key retire shop')).error).toContain('`KEY` is missing')
  })

  it('key revoke asks for confirmation on a terminal, and nowhere else', async () => {
    const without = await run('key revoke shop piped')
    expect([without.code, without.error]).toEqual([2, expect.stringContaining('`--yes` is missing')])
    const terminals = { input: true, error: true }
    expect((await run('key revoke shop piped --json', { terminals })).code).toBe(2)
    expect((await run('key revoke shop piped', { terminals, env: { CI: 'true' } })).code).toBe(2)
    const no = await run('key revoke shop piped', { terminals, input: 'no\n' })
    expect([no.code, no.error]).toEqual([3, expect.stringContaining('nothing was changed')])
    const yes = await run('key revoke shop piped', { terminals, input: 'piped\n' })
    expect([yes.code, yes.out]).toEqual([0, 'revoked piped\n'])
    expect((await run('key revoke shop filed --yes')).code).toBe(0)
    const gone = await run('key revoke shop filed --yes')
    expect([gone.code, gone.error]).toEqual([
      1,
      'portcullis key revoke: refused: the app has no key with this id\n',
    ])
    expect((await run('key list shop')).out).not.toContain('piped')
  })

  it('names the app that was probably meant', async () => {
    const ended = await run('app show shpo')
    expect([ended.code, ended.error]).toEqual([
      3,
      expect.stringContaining('there is no app `shpo`: did you mean `shop`?'),
    ])
    expect((await run('key list nowhere')).code).toBe(3)
    expect((await run('key list piped')).code).toBe(3)
  })

  it('keys need the vault that sealed them', async () => {
    const without = await run('key create shop', { env: { PORTCULLIS_VAULT_KEY: '' } })
    expect([without.code, without.error]).toEqual([2, expect.stringContaining('openssl rand -base64 32')])
    const other = { PORTCULLIS_VAULT_KEY: randomBytes(32).toString('base64') }
    expect((await run('key list shop', { env: other })).code).toBe(1)
    write('ring', `2026:${other.PORTCULLIS_VAULT_KEY}\ndefault:${place.env['PORTCULLIS_VAULT_KEY'] ?? ''}\n`)
    expect((await run('key list shop --vault-key-file ring', { env: other })).code).toBe(0)
    const bad = await run('key list shop', { env: { PORTCULLIS_VAULT_KEY: 'too-short' } })
    expect([bad.code, bad.error.includes('too-short')]).toEqual([2, false])
  })

  it('app delete asks for the id, keeps the history, and checks the revision', async () => {
    expect((await run('app delete shop')).code).toBe(2)
    const terminals = { input: true, error: true }
    expect((await run('app delete shop', { terminals, input: 'yes\n' })).code).toBe(3)
    expect((await run('app delete shop --yes --if-revision 1')).code).toBe(1)
    const deleted = await run('app delete shop', { terminals, input: 'shop\n' })
    expect([deleted.code, deleted.out]).toEqual([0, 'removed shop\n'])
    expect((await run('app show shop')).code).toBe(3)
    expect((await run('policy history shop')).out).toMatch(/^\d+ +\S+ +tester +removed/)
  })
})
