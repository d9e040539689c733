import type { OptionRow } from './command.ts'

type Rows = Readonly<Record<string, OptionRow>>

/** Selects the store of a command. Secrets come from the environment or a file, because others can see arguments. */
export const STORE_OPTIONS = {
  store: {
    type: 'string',
    value: 'PLACE',
    help: '`file:PATH` (a JSON file or its directory), or a `redis:` URL; default: PORTCULLIS_STORE',
  },
  redis: {
    type: 'string',
    value: 'URL',
    help: 'a Redis server, without a password; default: PORTCULLIS_REDIS_URL, which may contain one',
  },
  'redis-url-file': { type: 'string', value: 'FILE', help: 'a file with the URL of the Redis server' },
  prefix: { type: 'string', value: 'TEXT', help: 'the prefix of every Redis key; default: portcullis:' },
  'vault-key-file': {
    type: 'string',
    value: 'FILE',
    help: 'a file with the vault keys, in the format of PORTCULLIS_VAULT_KEY',
  },
} as const satisfies Rows

export const JSON_OPTION = {
  json: { type: 'boolean', help: 'writes JSON, and never asks for confirmation' },
} as const satisfies Rows

/** The author and the reason of a change, for the history. */
export const NOTE_OPTIONS = {
  author: { type: 'string', value: 'NAME', help: 'the author of the change; default: your user name' },
  note: { type: 'string', value: 'TEXT', help: 'the reason for the change, kept in the history' },
} as const satisfies Rows

export const REVISION_OPTION = {
  'if-revision': {
    type: 'string',
    value: 'NUMBER',
    help: 'writes only if this is the current revision; 0 means that nothing exists yet',
  },
} as const satisfies Rows

export const YES_OPTION = {
  yes: { type: 'boolean', help: 'skips the confirmation' },
} as const satisfies Rows

/** For commands that the admin API of a console supports. */
export const CURL_OPTIONS = {
  curl: {
    type: 'boolean',
    help: 'changes nothing; prints a curl command that does the same through the console API',
  },
  console: {
    type: 'string',
    value: 'URL',
    help: 'the URL of the console, for `--curl`; default: PORTCULLIS_CONSOLE_URL',
  },
} as const satisfies Rows

/** For all commands that only read. */
export const LOOKING = { ...STORE_OPTIONS, ...JSON_OPTION } as const satisfies Rows
/** For all commands that change something. */
export const CHANGING = { ...STORE_OPTIONS, ...NOTE_OPTIONS, ...JSON_OPTION } as const satisfies Rows
