import type { CommandRow } from '../command.ts'
import { contentOf, managing } from '../loading.ts'
import { CHANGING, CURL_OPTIONS, LOOKING, YES_OPTION } from '../option-rows.ts'

/** The commands for the keys of an app. */
export const KEY_COMMANDS: readonly CommandRow[] = [
  {
    name: 'key create',
    summary: 'creates a key for an app, and shows its secret once',
    about:
      'The secret goes to standard output, everything else to standard error. It cannot be shown again. ' +
      'A secret is never an argument: to bring your own, use `--secret-file` (`-` for standard input), or PORTCULLIS_APP_SECRET and `--from-env`.',
    positionals: 'APP',
    options: {
      ...CHANGING,
      ...CURL_OPTIONS,
      id: { type: 'string', value: 'ID', help: 'the key id; default: the app id and a number' },
      'secret-file': {
        type: 'string',
        value: 'FILE',
        help: 'a file with your own secret, at least 32 bytes in base64; `-` reads standard input',
      },
      'from-env': { type: 'boolean', help: 'uses the secret in PORTCULLIS_APP_SECRET' },
      'public-key-file': {
        type: 'string',
        value: 'FILE',
        help: 'a file with an Ed25519 public key (PEM, or its 32 bytes in base64) instead of a secret',
      },
      'not-before': { type: 'string', value: 'TIME', help: 'the key is valid from this time, in ISO 8601' },
      'not-after': { type: 'string', value: 'TIME', help: 'the key expires at this time, in ISO 8601' },
      'valid-for': {
        type: 'string',
        value: 'TIME',
        help: 'the key expires after this duration: 90d, 12h, 30m',
      },
      'as-env': { type: 'boolean', help: 'prints lines for an .env file: APP_ID, KEY_ID, APP_SECRET' },
    },
    exits: { failed: 'the key is invalid', no: 'there is no such app' },
    examples: [
      'portcullis key create example-shop --valid-for 90d --as-env >> shop.env',
      'openssl rand -base64 32 | portcullis key create example-shop --secret-file -',
    ],
    call: { method: 'POST', path: 'apps/APP/keys', options: ['id'], content: contentOf('newKey') },
    load: managing('createKey'),
  },
  {
    name: 'key list',
    summary: 'lists the keys of an app, and when each was last used',
    positionals: 'APP',
    options: { ...LOOKING, ...CURL_OPTIONS },
    exits: { no: 'there is no such app, or it has no keys' },
    call: { method: 'GET', path: 'apps/APP/keys' },
    load: managing('listKeysOfApp'),
  },
  {
    name: 'key retire',
    summary: 'sets the time at which a key expires, so that its owner can switch to another key in time',
    positionals: 'APP KEY',
    options: {
      ...CHANGING,
      at: { type: 'string', value: 'TIME', help: 'the key expires at this time, in ISO 8601' },
      in: {
        type: 'string',
        value: 'TIME',
        help: 'the key expires after this duration: 24h, 7d; default: 7d',
      },
    },
    exits: { failed: 'the app has no such key', no: 'there is no such app' },
    examples: ['portcullis key retire example-shop example-shop-1 --in 7d'],
    load: managing('retireKey'),
  },
  {
    name: 'key revoke',
    summary: 'removes a key at once',
    about: 'Requests signed with it are refused at once. To give its owner time to switch, use `key retire`.',
    positionals: 'APP KEY',
    options: { ...CHANGING, ...YES_OPTION, ...CURL_OPTIONS },
    exits: {
      failed: 'the app has no such key',
      no: 'there is no such app, or you answered no',
    },
    call: { method: 'DELETE', path: 'apps/APP/keys/KEY' },
    load: managing('revokeKey'),
  },
]
