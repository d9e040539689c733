import type { OptionRow } from '../command.ts'

/** Options of all audit commands. Secrets come only from the environment, because others can see arguments. */
export const LOG_OPTIONS = {
  redis: {
    type: 'string',
    value: 'URL',
    help: 'the Redis server, without a password; default: PORTCULLIS_REDIS_URL or REDIS_URL, which may contain one',
  },
  'redis-url-file': { type: 'string', value: 'FILE', help: 'a file with the URL of the Redis server' },
  prefix: { type: 'string', value: 'TEXT', help: 'the prefix of every key; default: portcullis:' },
  archive: { type: 'string', value: 'DIRECTORY', help: 'also reads the archived frames in this directory' },
  json: { type: 'boolean', help: 'writes JSON, one value per line' },
} as const satisfies Record<string, OptionRow>

/** Options of commands whose use is recorded as an event. */
export const WATCHED_OPTIONS = {
  actor: { type: 'string', value: 'NAME', help: 'who is asking; default: your user name' },
  purpose: { type: 'string', value: 'TEXT', help: 'the reason, which is recorded' },
} as const satisfies Record<string, OptionRow>

export const CHECKPOINT_OPTIONS = {
  checkpoints: { type: 'string', value: 'FILE', help: 'a file with the published checkpoints' },
  key: {
    type: 'string',
    multiple: true,
    value: 'KEY',
    help: 'a key that may sign checkpoints, as name+hash+key, or a file that contains one',
  },
} as const satisfies Record<string, OptionRow>

export const QUERY_OPTIONS = {
  app: { type: 'string', value: 'ID', help: 'events of this app' },
  person: { type: 'string', value: 'ID', help: 'events about this person' },
  field: { type: 'string', value: 'NAME', help: 'reads of this field' },
  from: { type: 'string', value: 'TIME', help: 'at or after this time, in ISO 8601' },
  to: { type: 'string', value: 'TIME', help: 'before this time, in ISO 8601' },
  code: { type: 'string', value: 'CODE', help: 'events with this decision, such as ADDRESS_NOT_ALLOWED' },
  request: { type: 'string', value: 'ID', help: 'events of this request' },
  operation: { type: 'string', value: 'NAME', help: 'events of this operation, such as "GET /me"' },
} as const satisfies Record<string, OptionRow>
