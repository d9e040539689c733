import type { CommandRow } from '../command.ts'
import { contentOf, managing } from '../loading.ts'
import { CHANGING, CURL_OPTIONS, LOOKING, YES_OPTION } from '../option-rows.ts'

/** The commands about the keys of an app. */
export const KEY_COMMANDS: readonly CommandRow[] = [
  {
    name: 'key create',
    summary: 'gives an app a key, and shows its secret once',
    about:
      'The secret goes to the standard output, and everything else to the standard error. It cannot be shown again. ' +
      'It is never an argument: bring one of your own by a file, by `-` or by PORTCULLIS_APP_SECRET with `--from-env`.',
    positionals: 'APP',
    options: {
      ...CHANGING,
      ...CURL_OPTIONS,
      id: { type: 'string', value: 'ID', help: 'its id; default: the id of the app and a number' },
      'secret-file': {
        type: 'string',
        value: 'FILE',
        help: 'takes this secret, base64 of at least 32 bytes; `-` reads the standard input',
      },
      'from-env': { type: 'boolean', help: 'takes the secret of PORTCULLIS_APP_SECRET' },
      'public-key-file': {
        type: 'string',
        value: 'FILE',
        help: 'an Ed25519 public key, as PEM or as base64 of its 32 bytes, instead of a secret',
      },
      'not-before': { type: 'string', value: 'TIME', help: 'when it begins, in ISO 8601' },
      'not-after': { type: 'string', value: 'TIME', help: 'when it ends, in ISO 8601' },
      'valid-for': { type: 'string', value: 'TIME', help: 'for how long: 90d, 12h, 30m' },
      'as-env': { type: 'boolean', help: 'writes lines for an .env file: APP_ID, KEY_ID, APP_SECRET' },
    },
    exits: { failed: 'the key was refused', no: 'there is no such app' },
    examples: [
      'portcullis key create example-shop --valid-for 90d --as-env >> shop.env',
      'openssl rand -base64 32 | portcullis key create example-shop --secret-file -',
    ],
    call: { method: 'POST', path: 'apps/APP/keys', options: ['id'], content: contentOf('newKey') },
    load: managing('createKey'),
  },
  {
    name: 'key list',
    summary: 'lists the keys of an app, with when each was last used',
    positionals: 'APP',
    options: { ...LOOKING, ...CURL_OPTIONS },
    exits: { no: 'there is no such app, or it has no keys' },
    call: { method: 'GET', path: 'apps/APP/keys' },
    load: managing('listKeysOfApp'),
  },
  {
    name: 'key retire',
    summary: 'ends a key at a time, so that its owner can change to another one until then',
    positionals: 'APP KEY',
    options: {
      ...CHANGING,
      at: { type: 'string', value: 'TIME', help: 'when it ends, in ISO 8601' },
      in: { type: 'string', value: 'TIME', help: 'after how long it ends: 24h, 7d; default 7d' },
    },
    exits: { failed: 'the app has no such key', no: 'there is no such app' },
    examples: ['portcullis key retire example-shop example-shop-1 --in 7d'],
    load: managing('retireKey'),
  },
  {
    name: 'key revoke',
    summary: 'removes a key at once',
    about: 'What it signs is refused from then on. To leave its owner time, use `key retire`.',
    positionals: 'APP KEY',
    options: { ...CHANGING, ...YES_OPTION, ...CURL_OPTIONS },
    exits: {
      failed: 'the app has no such key',
      no: 'there is no such app, or the question was answered with no',
    },
    call: { method: 'DELETE', path: 'apps/APP/keys/KEY' },
    load: managing('revokeKey'),
  },
]
