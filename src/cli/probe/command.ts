import type { CommandRow } from '../command.ts'
import { JSON_OPTION } from '../option-rows.ts'

/** The command that customers run on their own servers. */
export const PROBE_COMMAND: CommandRow = {
  name: 'probe',
  summary: 'finds out, on the calling server, why its requests are refused',
  about:
    'It sends one unsigned and one signed request, and repeats the signed one if its method is GET or HEAD. ' +
    'It checks the clock, the address, the signature, the content digest and the replay protection, and suggests a fix for each failure. ' +
    'The secret comes from PORTCULLIS_APP_SECRET or a file. If the guards allow the request, the service receives the content of `--body-file`.',
  positionals: 'URL',
  options: {
    ...JSON_OPTION,
    app: { type: 'string', value: 'ID', help: 'the app id' },
    'app-header': {
      type: 'string',
      value: 'NAME',
      help: 'the header that carries the app id; default: x-app-id',
    },
    'key-id': { type: 'string', value: 'ID', help: 'the key id; without it, no request is signed' },
    'secret-file': {
      type: 'string',
      value: 'FILE',
      help: 'a file with the secret of the key; `-` reads standard input; default: PORTCULLIS_APP_SECRET',
    },
    'private-key-file': {
      type: 'string',
      value: 'FILE',
      help: 'a file with an Ed25519 private key in PEM, instead of a secret',
    },
    origin: {
      type: 'string',
      value: 'ORIGIN',
      help: 'sent as X-Origin: the origin on whose behalf this server calls',
    },
    method: { type: 'string', value: 'METHOD', help: 'the method; default: GET, or POST with a body' },
    'body-file': { type: 'string', value: 'FILE', help: 'a file with the body to send' },
    'content-type': {
      type: 'string',
      value: 'TYPE',
      help: 'the content type of the body; default: application/json',
    },
    timeout: {
      type: 'string',
      value: 'SECONDS',
      help: 'how many seconds to wait for an answer; default: 10',
    },
    curl: {
      type: 'boolean',
      help: 'sends nothing; prints the signed request as a curl command that works once',
    },
  },
  exits: { no: 'a check failed', unavailable: 'the server cannot be reached' },
  examples: ['portcullis probe https://gateway.example/auth/me --app example-shop --key-id example-shop-1'],
  load: async () => (await import('../examining.ts')).probe,
}
