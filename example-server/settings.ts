import { hkdfSync, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { z } from 'zod'
import { DEFAULT_JURISDICTIONS } from 'portcullis'

/** What the environment says. */
export interface Settings {
  readonly port: number
  readonly host: string
  /** Where people and apps reach this server; `undefined` until the port is known. */
  readonly publicUrl: string | undefined
  readonly redisUrl: string | undefined
  /** The location of this instance. */
  readonly region: string
  readonly production: boolean
  /** Apps that may sign by the scheme of Ukey1, which is legacy. */
  readonly ukey1Apps: readonly string[]
  /** Addresses and subnets of the proxies in front. */
  readonly trustProxy: readonly string[]
  readonly secrets: Secrets
  /** Whether the secrets were made up at this start and will be forgotten. */
  readonly secretsAreTemporary: boolean
}

/** One key for each use, all derived from `SECRET_KEY`. */
export interface Secrets {
  readonly vault: Uint8Array
  readonly emailIndex: Uint8Array
  readonly csrf: Uint8Array
  readonly pseudonyms: Uint8Array
  /** Not a secret: tells apart what was stored under which key. */
  readonly fingerprint: string
}

/** A setting is missing or wrong. The message is one line that names it, and shows no secret. */
export class SettingError extends Error {}

const LOCATIONS = Object.values(DEFAULT_JURISDICTIONS).flatMap(({ locations }) => locations)

const KEY = z.string().transform((text, context) => {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length === 32 && bytes.toString('base64') === text) return bytes
  context.addIssue({
    code: 'custom',
    message: '32 bytes in base64, as `openssl rand -base64 32` prints them',
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

const ENVIRONMENT = z.object({
  PORT: z
    .string()
    .regex(/^\d{1,5}$/, 'a port from 0 to 65535')
    .transform(Number)
    .refine((port) => port <= 65_535, 'a port from 0 to 65535')
    .default(3000),
  HOST: z.string().min(1, 'the name or address to listen on').default('127.0.0.1'),
  PUBLIC_URL: url(['http:', 'https:'], 'an origin such as https://gateway.example')
    .refine((text) => urlOf(text)?.origin === text, 'an origin such as https://gateway.example')
    .optional(),
  REDIS_URL: url(['redis:', 'rediss:'], 'a URL such as redis://127.0.0.1:6379').optional(),
  REGION: z
    .enum(LOCATIONS as [string, ...string[]], { error: `one of ${LOCATIONS.join(', ')}` })
    .default('london'),
  NODE_ENV: z.string().default('development'),
  TRUST_PROXY: z
    .string()
    .transform((text) => text.split(',').map((entry) => entry.trim()))
    .refine((entries) => entries.every(isSubnet), 'addresses or subnets with commas between, as 10.0.0.0/8')
    .default([]),
  UKEY1_LEGACY_APPS: z
    .string()
    .transform((text) => text.split(',').map((entry) => entry.trim()))
    .refine(
      (ids) => ids.every((id) => /^[A-Za-z0-9._:-]{1,128}$/.test(id)),
      'ids of apps with commas between',
    )
    .default([]),
  SECRET_KEY: KEY.optional(),
})

function isSubnet(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[?::1\]?)$/

/** On which a process listens everywhere, loopback included. */
const EVERYWHERE: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

const SHOWN: ReadonlySet<string> = new Set([
  'PORT',
  'HOST',
  'PUBLIC_URL',
  'REGION',
  'TRUST_PROXY',
  'UKEY1_LEGACY_APPS',
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
    const shown = SHOWN.has(name) ? JSON.stringify(given[name]) : 'a value that is not shown'
    throw new SettingError(`${name} must be ${message}; it is ${shown}`)
  }
  const { PORT, HOST, PUBLIC_URL, REDIS_URL, REGION, NODE_ENV, TRUST_PROXY, SECRET_KEY, UKEY1_LEGACY_APPS } =
    result.data
  const production = NODE_ENV === 'production'
  if (production && SECRET_KEY === undefined) {
    throw new SettingError(
      'SECRET_KEY must be set in production: 32 bytes in base64, as `openssl rand -base64 32` prints them',
    )
  }
  // Browsers take secure cookies over https, and over http from loopback only.
  if (
    PUBLIC_URL !== undefined &&
    !PUBLIC_URL.startsWith('https:') &&
    !LOOPBACK.test(new URL(PUBLIC_URL).hostname)
  ) {
    throw new SettingError(
      `PUBLIC_URL must be an https origin, or one of loopback; it is ${JSON.stringify(PUBLIC_URL)}`,
    )
  }
  if (PUBLIC_URL === undefined && !LOOPBACK.test(HOST) && !EVERYWHERE.has(HOST)) {
    throw new SettingError(
      `PUBLIC_URL must be set to the https origin of this server, because HOST is ${JSON.stringify(HOST)}`,
    )
  }
  if (production && PUBLIC_URL?.startsWith('https:') !== true) {
    throw new SettingError(
      `PUBLIC_URL must be an https origin in production; it is ${JSON.stringify(PUBLIC_URL ?? '')}`,
    )
  }
  return {
    port: PORT,
    host: HOST,
    publicUrl: PUBLIC_URL,
    redisUrl: REDIS_URL,
    region: REGION,
    production,
    ukey1Apps: UKEY1_LEGACY_APPS,
    trustProxy: TRUST_PROXY,
    secrets: deriveSecrets(SECRET_KEY ?? randomBytes(32)),
    secretsAreTemporary: SECRET_KEY === undefined,
  }
}

/** RFC 5869. */
export function deriveSecrets(root: Uint8Array): Secrets {
  const derive = (use: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', root, '', `example-server ${use}`, 32))
  return {
    vault: derive('vault'),
    emailIndex: derive('email index'),
    csrf: derive('csrf'),
    pseudonyms: derive('pseudonyms'),
    fingerprint: Buffer.from(derive('fingerprint')).toString('hex').slice(0, 12),
  }
}
