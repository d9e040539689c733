import type { CommandRow } from '../command.ts'
import { JSON_OPTION } from '../option-rows.ts'

/** The command that customers run on their own servers. */
export const PROBE_COMMAND: CommandRow = {
  name: 'probe',
  summary: 'finds out from a calling server why its requests are refused',
  about:
    'It sends one request without a signature and one with it, and the latter again where the method changes nothing. ' +
    'Checked are the clock, the address, the signature, the digest of the content and the protection against replays; each failure has a fix. ' +
    'The secret comes from PORTCULLIS_APP_SECRET or a file. The content of `--body-file` reaches the service if it is admitted.',
  positionals: 'URL',
  options: {
    ...JSON_OPTION,
    app: { type: 'string', value: 'ID', help: 'the app id' },
    'app-header': { type: 'string', value: 'NAME', help: 'the header for it; default x-app-id' },
    'key-id': { type: 'string', value: 'ID', help: 'the id of the key; without it nothing is signed' },
    'secret-file': {
      type: 'string',
      value: 'FILE',
      help: 'the secret of the key; `-` reads the standard input; default PORTCULLIS_APP_SECRET',
    },
    'private-key-file': {
      type: 'string',
      value: 'FILE',
      help: 'an Ed25519 private key as PEM, instead of a secret',
    },
    origin: {
      type: 'string',
      value: 'ORIGIN',
      help: 'sent as X-Origin: the origin for which this server acts',
    },
    method: { type: 'string', value: 'METHOD', help: 'default GET, with a body POST' },
    'body-file': { type: 'string', value: 'FILE', help: 'content to send' },
    'content-type': { type: 'string', value: 'TYPE', help: 'of the content; default application/json' },
    timeout: { type: 'string', value: 'SECONDS', help: 'how long to wait for an answer; default 10' },
    curl: {
      type: 'boolean',
      help: 'sends nothing, and writes the signed request as a command of curl, which works once',
    },
  },
  exits: { no: 'a check failed', unavailable: 'the server cannot be reached' },
  examples: ['portcullis probe https://gateway.example/auth/me --app example-shop --key-id example-shop-1'],
  load: async () => (await import('../examining.ts')).probe,
}
