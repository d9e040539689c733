import { describe, expect, it } from '@jest/globals'
import { idOfKey, vaultOf, type Secrets } from '../../../example-server/secrets.ts'
import { readSettings, SettingError } from '../../../example-server/settings.ts'

const SECRET_KEY = Buffer.alloc(32).toString('base64')
const FIRST_KEY = new Uint8Array(32).fill(1)
const SECOND_KEY = new Uint8Array(32).fill(2)
const base64 = (key: Uint8Array): string => Buffer.from(key).toString('base64')
const PRODUCTION = {
  NODE_ENV: 'production',
  SECRET_KEY,
  PUBLIC_URL: 'https://gateway.example',
  REDIS_URL: 'redis://127.0.0.1:6379/2',
  SMTP_URL: 'smtps://mail.example',
  APP_FIELDS: 'shop=firstname+email, other=email',
}

describe('a wrong or missing setting is refused in one line that names it', () => {
  const secret = 'c2VjcmV0LXZhbHVl'
  const cases: [environment: Record<string, string>, line: RegExp][] = [
    [{ PORT: 'abc' }, /PORT.*0 to 65535.*"abc"/],
    [{ PORT: '70000' }, /PORT.*0 to 65535.*"70000"/],
    [{ PORT: '-1' }, /PORT.*"-1"/],
    [{ PORT: '3e3' }, /PORT.*"3e3"/],
    [{ HOST: '192.0.2.1' }, /PUBLIC_URL must be set.*HOST is "192\.0\.2\.1"/],
    [{ PUBLIC_URL: 'gateway.example' }, /PUBLIC_URL.*"gateway\.example"/],
    [{ PUBLIC_URL: 'https://gateway.example/path' }, /PUBLIC_URL.*origin/],
    [{ PUBLIC_URL: 'https://gateway.example/' }, /PUBLIC_URL.*origin/],
    [{ PUBLIC_URL: 'http://gateway.example' }, /PUBLIC_URL.*https/],
    [{ REGION: 'paris' }, /REGION.*london, frankfurt, dallas.*"paris"/],
    [{ SECRET_KEY: secret }, /SECRET_KEY.*32 bytes.*not shown/],
    [{ SECRET_KEY: SECRET_KEY.slice(0, -1) }, /SECRET_KEY.*32 bytes.*not shown/],
    [{ REDIS_URL: `http://user:${secret}@127.0.0.1:6379` }, /REDIS_URL.*redis:\/\/.*not shown/],
    [{ UKEY1_LEGACY_APPS: 'a, b c' }, /UKEY1_LEGACY_APPS.*app ids.*"a, b c"/],
    [{ TRUST_PROXY: 'everyone' }, /TRUST_PROXY.*subnets.*"everyone"/],
    [{ TRUST_PROXY: '10.0.0.0/33' }, /TRUST_PROXY.*"10\.0\.0\.0\/33"/],
    [{ REDIS_URL: `redis://user:${secret}@127.0.0.1/zero` }, /REDIS_URL.*for database 2.*not shown/],
    [{ REGION_URLS: 'dallas=http://us.gateway.example' }, /REGION_URLS.*dallas=https:.*"dallas=http:/],
    [{ REGION_URLS: 'paris=https://fr.gateway.example' }, /REGION_URLS.*london, frankfurt, dallas.*"paris=/],
    [{ REGION_URLS: 'dallas' }, /REGION_URLS.*"dallas"/],
    [{ NODE_ENV: 'prod' }, /NODE_ENV must be development, test or production; it is "prod"/],
    [{ NODE_ENV: 'Production' }, /NODE_ENV must be.*"Production"/],
    [{ SMTP_URL: `http://user:${secret}@mail.example` }, /SMTP_URL.*smtps:\/\/.*not shown/],
    [
      { CONSOLE_TOKEN: 'a short one' },
      /^CONSOLE_TOKEN.*at least 32 random characters.*; the value is not shown here, because/,
    ],
    [{ MAIL_FROM: 'nobody' }, /MAIL_FROM.*email address.*"nobody"/],
    [{ PORT: '65534' }, /PORT must be at most 65533, .*set REGION.*"65534"/],
    [{ NODE_ENV: 'production' }, /SECRET_KEY must be set/],
    [
      { NODE_ENV: 'production', SECRET_KEY },
      /^PUBLIC_URL must be set in production to the https origin of this server/,
    ],
    [{ ...PRODUCTION, PUBLIC_URL: 'http://localhost:3000' }, /^PUBLIC_URL must be an https origin.*"http:/],
    [{ ...PRODUCTION, REDIS_URL: '' }, /REDIS_URL must be set in production, for example to redis:/],
    [{ ...PRODUCTION, SMTP_URL: '' }, /SMTP_URL must be set in production, for example to smtps:/],
    [
      { ...PRODUCTION, APP_FIELDS: '' },
      /APP_FIELDS must be set in production, for example to shop=firstname\+email/,
    ],
    [{ SECRET_KEY, VAULT_KEY: secret }, /^VAULT_KEY must be 32 bytes.*openssl rand.*not shown/],
    [{ VAULT_KEY: base64(FIRST_KEY) }, /^SECRET_KEY must be set, because VAULT_KEY is/],
    [
      { VAULT_KEYS_DECRYPT_ONLY: base64(FIRST_KEY) },
      /^SECRET_KEY must be set, because VAULT_KEYS_DECRYPT_ONLY is/,
    ],
    [
      { SECRET_KEY, VAULT_KEYS_DECRYPT_ONLY: `${base64(FIRST_KEY)},${secret}` },
      /^VAULT_KEYS_DECRYPT_ONLY must be keys of 32 bytes in base64, separated by commas.*not shown/,
    ],
    [{ SECRET_KEY, VAULT_KEY: SECRET_KEY }, /^VAULT_KEY and each.*different keys.*none may be SECRET_KEY/],
    [
      { SECRET_KEY, VAULT_KEY: base64(FIRST_KEY), VAULT_KEYS_DECRYPT_ONLY: base64(FIRST_KEY) },
      /^VAULT_KEY and each.*different keys.*two are the same/,
    ],
    [
      { SECRET_KEY, VAULT_KEYS_DESTROYED: 'rot' },
      /^VAULT_KEYS_DESTROYED must be ids.*npm run reseal.*root, or as key-0123456789ab; it is "rot"/,
    ],
    [{ SECRET_KEY, VAULT_KEYS_DESTROYED: 'root' }, /^VAULT_KEY must be set.*VAULT_KEYS_DESTROYED names root/],
    [
      { SECRET_KEY, VAULT_KEY: base64(FIRST_KEY), VAULT_KEYS_DESTROYED: idOfKey(FIRST_KEY) },
      /^VAULT_KEYS_DESTROYED must name no key that VAULT_KEY or.*gives; it names key-[0-9a-f]{12}$/,
    ],
    [{ APP_FIELDS: 'shop' }, /APP_FIELDS must be a list such as shop=firstname\+email.*"shop"/],
    [{ APP_FIELDS: 'shop=mail' }, /APP_FIELDS.*firstname, surname, email.*"shop=mail"/],
    [{ APP_FIELDS: 'shop=email,shop=image' }, /APP_FIELDS must be a list that names each app once/],
    [{ APP_FIELDS: 'shop=email=image' }, /APP_FIELDS.*"shop=email=image"/],
  ]
  for (const [environment, line] of cases) {
    it(`for example in ${JSON.stringify(environment).replaceAll(secret, '…')}`, () => {
      let said: unknown
      try {
        readSettings(environment)
      } catch (error) {
        said = error
      }
      expect(said).toBeInstanceOf(SettingError)
      const { message } = said as SettingError
      expect(message).toMatch(line)
      expect(message).not.toContain('\n')
      expect(message).not.toContain(secret)
    })
  }
})

describe('the settings', () => {
  it('have defaults for everything outside production, and an empty variable counts as not set', () => {
    for (const environment of [{}, { PORT: '', SECRET_KEY: '', REDIS_URL: '' }]) {
      expect(readSettings(environment)).toMatchObject({
        port: 3000,
        host: '127.0.0.1',
        regions: ['london', 'frankfurt', 'dallas'],
        production: false,
        redisUrl: undefined,
        secretsAreTemporary: true,
      })
    }
  })

  it('generate a console token outside production, but not in production', () => {
    const [one, other] = [readSettings({}).consoleToken, readSettings({}).consoleToken]
    expect(one).toMatch(/^[\w-]{43}$/)
    expect(one).not.toBe(other)
    const CONSOLE_TOKEN = 'x'.repeat(32)
    expect(readSettings({ CONSOLE_TOKEN }).consoleToken).toBe(CONSOLE_TOKEN)
    expect(readSettings(PRODUCTION).consoleToken).toBeUndefined()
    expect(readSettings({ ...PRODUCTION, CONSOLE_TOKEN }).consoleToken).toBe(CONSOLE_TOKEN)
  })

  it('define what each app may request', () => {
    expect(readSettings({}).appFields).toBeUndefined()
    expect(readSettings(PRODUCTION).appFields).toEqual(
      new Map([
        ['shop', ['firstname', 'email']],
        ['other', ['email']],
      ]),
    )
  })

  it('run one location if it is named, if the public URL is set, and in production', () => {
    expect(readSettings({ REGION: 'dallas' }).regions).toEqual(['dallas'])
    expect(readSettings({ PUBLIC_URL: 'http://localhost:3000' }).regions).toEqual(['london'])
    const regionUrls = { dallas: 'https://us.gateway.example', frankfurt: 'https://fra.gateway.example' }
    const REGION_URLS = 'dallas=https://us.gateway.example, frankfurt=https://fra.gateway.example'
    expect(readSettings({ ...PRODUCTION, REGION_URLS })).toMatchObject({ regions: ['london'], regionUrls })
  })

  it('generate new secrets at each start, and always the same from one SECRET_KEY', () => {
    const [made, again] = [readSettings({}), readSettings({})]
    expect(made.secrets.vaultKeys).not.toEqual(again.secrets.vaultKeys)
    const [given, same] = [readSettings({ SECRET_KEY }), readSettings({ SECRET_KEY })]
    expect(given.secrets).toEqual(same.secrets)
    expect(given.secretsAreTemporary).toBe(false)
    const { fingerprint, vaultKeys, ...keys } = given.secrets
    const all = [...vaultKeys.map(({ key }) => key as Uint8Array), ...Object.values(keys)]
    expect(new Set(all.map((key) => Buffer.from(key).toString('hex'))).size).toBe(7)
    expect(fingerprint).toMatch(/^[0-9a-f]{12}$/)
  })

  it('encrypt with VAULT_KEY, and still decrypt with the key derived from SECRET_KEY until it is destroyed', () => {
    const statesOf = (more: Record<string, string>) =>
      vaultOf(readSettings({ SECRET_KEY, ...more }).secrets).keys.map(({ id, state }) => `${state} ${id}`)
    const [first, second] = [idOfKey(FIRST_KEY), idOfKey(SECOND_KEY)]
    const [VAULT_KEY, VAULT_KEYS_DECRYPT_ONLY] = [base64(SECOND_KEY), base64(FIRST_KEY)]
    expect(statesOf({})).toEqual(['active root'])
    expect(statesOf({ VAULT_KEYS_DECRYPT_ONLY })).toEqual(['active root', `decrypt-only ${first}`])
    expect(statesOf({ VAULT_KEY: base64(FIRST_KEY) })).toEqual([`active ${first}`, 'decrypt-only root'])
    expect(statesOf({ VAULT_KEY, VAULT_KEYS_DECRYPT_ONLY, VAULT_KEYS_DESTROYED: 'root' })).toEqual([
      `active ${second}`,
      `decrypt-only ${first}`,
      'destroyed root',
    ])
    expect(statesOf({ VAULT_KEY, VAULT_KEYS_DESTROYED: `root, ${first}` })).toEqual([
      `active ${second}`,
      'destroyed root',
      `destroyed ${first}`,
    ])
  })

  it('keep the names in Redis, the index of addresses and all other keys when VAULT_KEY changes', () => {
    const [{ vaultKeys: _, ...before }, { vaultKeys: __, ...after }] = [
      {},
      { VAULT_KEY: base64(FIRST_KEY) },
    ].map((more) => readSettings({ SECRET_KEY, ...more }).secrets) as [Secrets, Secrets]
    expect(after).toEqual(before)
  })

  it('accept a loopback origin over http, and a list of proxies', () => {
    const { publicUrl, trustProxy } = readSettings({
      PUBLIC_URL: 'http://localhost:3000',
      TRUST_PROXY: '10.0.0.0/8, ::1',
    })
    expect({ publicUrl, trustProxy }).toEqual({
      publicUrl: 'http://localhost:3000',
      trustProxy: ['10.0.0.0/8', '::1'],
    })
  })

  it('let only named apps use the legacy signatures of Ukey1', () => {
    expect(readSettings({}).ukey1Apps).toEqual([])
    expect(readSettings({ UKEY1_LEGACY_APPS: 'a, b' }).ukey1Apps).toEqual(['a', 'b'])
  })
})
