import { randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { z } from 'zod'
import { DEFAULT_JURISDICTIONS } from 'portcullis'
import { PRESET, subnetsOf } from './cloudflare.ts'
import { FIELDS, type Field } from './people.ts'
import { deriveSecrets, idOfKey, ROOT, type Secrets } from './secrets.ts'

/** The settings that the environment variables define. */
export interface Settings {
  readonly port: number
  readonly host: string
  /** The URL at which people and apps reach this server; `undefined` if it is not set. */
  readonly publicUrl: string | undefined
  readonly redisUrl: string | undefined
  /**
   * The Redis of each location, for the people of its jurisdiction. If empty, people are stored with everything else.
   */
  readonly regionRedisUrls: Readonly<Record<string, string>>
  /** The locations that run in this process, the first one on `PORT`. */
  readonly regions: readonly string[]
  /** The URLs of the instances of other locations, by location. */
  readonly regionUrls: Readonly<Record<string, string>>
  readonly production: boolean
  /** Apps that may use the legacy signatures of Ukey1. */
  readonly ukey1Apps: readonly string[]
  /** Addresses and subnets of the proxies in front. */
  readonly trustProxy: readonly string[]
  /** Whether other callers are refused. */
  readonly onlyProxies: boolean
  readonly secrets: Secrets
  /** The bearer token for /metrics; `undefined` if /metrics is not available. */
  readonly metricsToken: string | undefined
  /** The mail server; `undefined` if emails are printed. */
  readonly smtpUrl: string | undefined
  /** The sender of emails. */
  readonly mailFrom: string
  /** The operator's token for the console; `undefined` if there is no console. */
  readonly consoleToken: string | undefined
  /** The fields that each app may request; `undefined` if every app may request all fields. */
  readonly appFields: ReadonlyMap<string, readonly Field[]> | undefined
  /** Whether the secrets were generated at this start and are lost at exit. */
  readonly secretsAreTemporary: boolean
}

/** A setting is missing or wrong. The message is one line that names the setting, and contains no secret. */
export class SettingError extends Error {}

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[?::1\]?)$/

const LOCATIONS = Object.values(DEFAULT_JURISDICTIONS).flatMap(({ locations }) => locations)

const ONE_OF_THE_LOCATIONS = `one of ${LOCATIONS.join(', ')}`

const KEY = z.string().transform((text, context) => {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length === 32 && bytes.toString('base64') === text) return bytes
  context.addIssue({
    code: 'custom',
    message: '32 bytes in base64, such as the output of `openssl rand -base64 32`',
  })
  return z.NEVER
})

function urlOf(text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

const url = (protocols: readonly string[], expected: string) =>
  z.string().refine((text) => protocols.includes(urlOf(text)?.protocol ?? ''), expected)

const REDIS_URL_RULE = 'a URL such as redis://127.0.0.1:6379, or redis://127.0.0.1:6379/2 for database 2'

const isField = (text: string): boolean => (FIELDS as readonly string[]).includes(text)
const REDIS_SERVER = url(['redis:', 'rediss:'], REDIS_URL_RULE)
  .refine((text) => /^\/?\d{0,5}$/.test(urlOf(text)?.pathname ?? ''), REDIS_URL_RULE)
  .optional()

const ENVIRONMENT = z.object({
  PORT: z
    .string()
    .regex(/^\d{1,5}$/, 'a port from 0 to 65535')
    .transform(Number)
    .refine((port) => port <= 65_535, 'a port from 0 to 65535')
    .default(3000),
  HOST: z.string().min(1, 'a host name or address to listen on').default('127.0.0.1'),
  PUBLIC_URL: url(['http:', 'https:'], 'an origin such as https://gateway.example')
    .refine((text) => urlOf(text)?.origin === text, 'an origin such as https://gateway.example')
    .optional(),
  REDIS_URL: REDIS_SERVER,
  REDIS_LONDON_URL: REDIS_SERVER,
  REDIS_FRANKFURT_URL: REDIS_SERVER,
  REDIS_DALLAS_URL: REDIS_SERVER,
  REGION: z.enum(LOCATIONS as [string, ...string[]], { error: ONE_OF_THE_LOCATIONS }).optional(),
  REGION_URLS: z
    .string()
    .transform((text) => text.split(',').map((entry) => entry.trim().split('=') as [string, string]))
    .refine(
      (entries) =>
        entries.every(
          ([location, base, ...more]) =>
            LOCATIONS.includes(location) && isSafeOrigin(base) && more.length === 0,
        ),
      `a list such as dallas=https://us.gateway.example, each location ${ONE_OF_THE_LOCATIONS}`,
    )
    .transform((entries) => Object.fromEntries(entries) as Record<string, string>)
    .default({}),
  NODE_ENV: z
    .enum(['development', 'test', 'production'], { error: 'development, test or production' })
    .default('development'),
  SMTP_URL: url(['smtp:', 'smtps:'], 'a URL such as smtps://user:password@mail.example').optional(),
  MAIL_FROM: z.email('an email address such as gateway@example.org').optional(),
  TRUST_PROXY: z
    .string()
    .transform((text) => text.split(',').map((entry) => entry.trim()))
    .refine(
      (entries) => entries.every((entry) => entry === PRESET || isSubnet(entry)),
      'cloudflare, or addresses or subnets separated by commas, such as 10.0.0.0/8',
    )
    .default([]),
  ONLY_PROXIES: z.enum(['true', 'false'], { error: 'true or false' }).optional(),
  UKEY1_LEGACY_APPS: z
    .string()
    .transform((text) => text.split(',').map((entry) => entry.trim()))
    .refine((ids) => ids.every((id) => /^[A-Za-z0-9._:-]{1,128}$/.test(id)), 'app ids separated by commas')
    .default([]),
  APP_FIELDS: z
    .string()
    .transform((text) =>
      text.split(',').map((entry) => {
        const [id = '', fields = '', ...more] = entry.trim().split('=')
        return { id, fields: fields.split('+'), isWhole: more.length === 0 }
      }),
    )
    .refine(
      (apps) =>
        apps.every(
          ({ id, fields, isWhole }) =>
            isWhole && /^[A-Za-z0-9._:-]{1,128}$/.test(id) && fields.every((field) => isField(field)),
        ),
      `a list such as shop=firstname+email,other=email, with app ids and fields (${FIELDS.join(', ')})`,
    )
    .refine(
      (apps) => new Set(apps.map(({ id }) => id)).size === apps.length,
      'a list that names each app once',
    )
    .transform((apps) => new Map(apps.map(({ id, fields }) => [id, fields as Field[]])))
    .optional(),
  SECRET_KEY: KEY.optional(),
  VAULT_KEY: KEY.optional(),
  VAULT_KEYS_DECRYPT_ONLY: z
    .string()
    .transform((text, context) => {
      const keys = text.split(',').map((entry) => KEY.safeParse(entry.trim()))
      const bytes = keys.flatMap(({ data }) => data ?? [])
      if (bytes.length === keys.length) return bytes
      context.addIssue({ code: 'custom', message: 'keys of 32 bytes in base64, separated by commas' })
      return z.NEVER
    })
    .default([]),
  VAULT_KEYS_DESTROYED: z
    .string()
    .transform((text) => text.split(',').map((entry) => entry.trim()))
    .refine(
      (ids) => ids.every((id) => id === ROOT || /^key-[0-9a-f]{12}$/.test(id)) && areDifferent(ids),
      `ids of keys as \`npm run reseal\` prints them, each once, separated by commas: ${ROOT}, or as key-0123456789ab`,
    )
    .default([]),
  CONSOLE_TOKEN: z
    .string()
    .min(32, 'at least 32 random characters, such as the output of `openssl rand -base64 32`')
    .optional(),
  METRICS_TOKEN: z
    .string()
    .regex(/^[\w.~+/-]{16,200}=*$/, '16 to 200 characters of A-Z a-z 0-9 - . _ ~ + /')
    .optional(),
})

const areDifferent = (all: readonly string[]): boolean => new Set(all).size === all.length

function isSubnet(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

/** Whether browsers accept secure cookies from an origin: over https, and over http only from loopback. */
function isSafeOrigin(text: string | undefined): boolean {
  const { origin, protocol, hostname } = urlOf(text ?? '') ?? {}
  if (origin === undefined || origin !== text) return false
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname ?? ''))
}

/** The addresses that make a process listen on all interfaces, including loopback. */
const EVERYWHERE: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

const SHOWN: ReadonlySet<string> = new Set([
  'PORT',
  'HOST',
  'PUBLIC_URL',
  'REGION',
  'REGION_URLS',
  'NODE_ENV',
  'MAIL_FROM',
  'TRUST_PROXY',
  'ONLY_PROXIES',
  'UKEY1_LEGACY_APPS',
  'APP_FIELDS',
  'VAULT_KEYS_DESTROYED',
])

/**
 * Reads the settings. An empty variable counts as not set.
 *
 * @throws SettingError
 */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const result = ENVIRONMENT.safeParse(given)
  if (!result.success) {
    const { path, message } = result.error.issues[0] as z.core.$ZodIssue
    const name = String(path[0])
    const shown = SHOWN.has(name)
      ? `it is ${JSON.stringify(given[name])}`
      : 'the value is not shown here, because it may be secret'
    throw new SettingError(`${name} must be ${message}; ${shown}`)
  }
  const { PORT, HOST, PUBLIC_URL, REGION, SECRET_KEY, NODE_ENV } = result.data
  checkVaultKeys(result.data)
  const production = NODE_ENV === 'production'
  const settings: Settings = {
    port: PORT,
    host: HOST,
    publicUrl: PUBLIC_URL,
    redisUrl: result.data.REDIS_URL,
    regionRedisUrls: Object.fromEntries(
      Object.entries({
        london: result.data.REDIS_LONDON_URL,
        frankfurt: result.data.REDIS_FRANKFURT_URL,
        dallas: result.data.REDIS_DALLAS_URL,
      }).filter((entry): entry is [string, string] => entry[1] !== undefined),
    ),
    regions: regionsOf(REGION, production || PUBLIC_URL !== undefined),
    regionUrls: result.data.REGION_URLS,
    production,
    ukey1Apps: result.data.UKEY1_LEGACY_APPS,
    appFields: result.data.APP_FIELDS,
    trustProxy: subnetsOf(result.data.TRUST_PROXY),
    // Everybody can reach a server behind a public proxy, unless it refuses them.
    onlyProxies: (result.data.ONLY_PROXIES ?? String(result.data.TRUST_PROXY.includes(PRESET))) === 'true',
    smtpUrl: result.data.SMTP_URL,
    mailFrom: result.data.MAIL_FROM ?? 'gateway@example.org',
    secrets: deriveSecrets(SECRET_KEY ?? randomBytes(32), {
      active: result.data.VAULT_KEY,
      decryptOnly: result.data.VAULT_KEYS_DECRYPT_ONLY,
      destroyed: result.data.VAULT_KEYS_DESTROYED,
    }),
    // In production no token is generated, because the server would have to print it.
    consoleToken:
      result.data.CONSOLE_TOKEN ?? (production ? undefined : randomBytes(32).toString('base64url')),
    metricsToken: result.data.METRICS_TOKEN,
    secretsAreTemporary: SECRET_KEY === undefined,
  }
  checkTogether(settings)
  checkLocations(settings)
  return settings
}

/** For trials, one process runs all three locations. In production, each process runs one. */
function regionsOf(region: string | undefined, single: boolean): readonly string[] {
  if (region !== undefined) return [region]
  return single ? ['london'] : LOCATIONS
}

/** Checks that each vault key is given only once, and that no destroyed key is given. */
function checkVaultKeys({
  SECRET_KEY,
  VAULT_KEY,
  VAULT_KEYS_DECRYPT_ONLY: decryptOnly,
  VAULT_KEYS_DESTROYED: destroyed,
}: Pick<
  z.output<typeof ENVIRONMENT>,
  'SECRET_KEY' | 'VAULT_KEY' | 'VAULT_KEYS_DECRYPT_ONLY' | 'VAULT_KEYS_DESTROYED'
>): void {
  const given = [...(VAULT_KEY === undefined ? [] : [VAULT_KEY]), ...decryptOnly].map(idOfKey)
  if (given.length > 0 && SECRET_KEY === undefined) {
    throw new SettingError(
      `SECRET_KEY must be set, because ${VAULT_KEY === undefined ? 'VAULT_KEYS_DECRYPT_ONLY' : 'VAULT_KEY'} is set, and SECRET_KEY names the keys in Redis`,
    )
  }
  if (!areDifferent([...given, ...(SECRET_KEY === undefined ? [] : [idOfKey(SECRET_KEY)])])) {
    throw new SettingError(
      'VAULT_KEY and each of VAULT_KEYS_DECRYPT_ONLY must be different keys, and none may be SECRET_KEY; two are the same',
    )
  }
  const kept = destroyed.find((id) => given.includes(id))
  if (kept !== undefined) {
    throw new SettingError(
      `VAULT_KEYS_DESTROYED must name no key that VAULT_KEY or VAULT_KEYS_DECRYPT_ONLY gives; it names ${kept}`,
    )
  }
  if (destroyed.includes(ROOT) && VAULT_KEY === undefined) {
    throw new SettingError(
      `VAULT_KEY must be set, because VAULT_KEYS_DESTROYED names ${ROOT}: no other key encrypts`,
    )
  }
}

/** Checks that all locations of a jurisdiction have a Redis if one of them has, and that no two share one. */
function checkLocations({ regionRedisUrls, regions }: Settings): void {
  const given = Object.keys(regionRedisUrls)
  if (given.length === 0) return
  const needed = Object.values(DEFAULT_JURISDICTIONS).flatMap(({ locations }) =>
    locations.some((name) => given.includes(name) || regions.includes(name)) ? locations : [],
  )
  const missing = needed.find((name) => !given.includes(name))
  if (missing !== undefined) {
    throw new SettingError(
      `REDIS_${missing.toUpperCase()}_URL must be set, because REDIS_${given[0]?.toUpperCase()}_URL is set: both locations store the same people, or this process serves both`,
    )
  }
  if (new Set(Object.values(regionRedisUrls)).size < given.length)
    throw new SettingError(
      `REDIS_${given[0]?.toUpperCase()}_URL and the URLs of the other locations must point to different servers; two are the same`,
    )
}

/** Checks the settings that depend on each other. */
function checkTogether({
  port,
  host,
  publicUrl,
  production,
  regions,
  secretsAreTemporary,
  smtpUrl,
  redisUrl,
  appFields,
  onlyProxies,
  trustProxy,
}: Settings): void {
  if (onlyProxies && trustProxy.length === 0)
    throw new SettingError('ONLY_PROXIES needs TRUST_PROXY, the proxies that may call this server')
  if (publicUrl !== undefined && !isSafeOrigin(publicUrl)) {
    throw new SettingError(
      `PUBLIC_URL must be an https origin or a loopback origin; it is ${JSON.stringify(publicUrl)}`,
    )
  }
  if (publicUrl === undefined && !LOOPBACK.test(host) && !EVERYWHERE.has(host)) {
    throw new SettingError(
      `PUBLIC_URL must be set to the https origin of this server, because HOST is ${JSON.stringify(host)}`,
    )
  }
  if (port !== 0 && port + regions.length - 1 > 65_535) {
    throw new SettingError(
      `PORT must be at most ${65_536 - regions.length}, because the ${regions.length} locations use consecutive ports (set REGION to run only one); it is "${port}"`,
    )
  }
  if (!production) return
  if (secretsAreTemporary) {
    throw new SettingError(
      'SECRET_KEY must be set in production to 32 bytes in base64, such as the output of `openssl rand -base64 32`',
    )
  }
  if (publicUrl === undefined) {
    throw new SettingError(
      'PUBLIC_URL must be set in production to the https origin of this server, for example to https://gateway.example',
    )
  }
  if (!publicUrl.startsWith('https:')) {
    throw new SettingError(
      `PUBLIC_URL must be an https origin in production; it is ${JSON.stringify(publicUrl)}`,
    )
  }
  if (redisUrl === undefined) {
    throw new SettingError(
      'REDIS_URL must be set in production, for example to redis://127.0.0.1:6379: without it, people and policies are lost at each restart',
    )
  }
  if (appFields === undefined) {
    throw new SettingError(
      'APP_FIELDS must be set in production, for example to shop=firstname+email: it defines what each app may ask people for',
    )
  }
  if (smtpUrl === undefined) {
    throw new SettingError(
      'SMTP_URL must be set in production, for example to smtps://user:password@mail.example: people get their codes by mail',
    )
  }
}
