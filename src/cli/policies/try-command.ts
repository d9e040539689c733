import type { CommandRow } from '../command.ts'
import { contentOf } from '../loading.ts'
import { CURL_OPTIONS, LOOKING } from '../option-rows.ts'

export const TRY_COMMAND: CommandRow = {
  name: 'policy try',
  summary: 'shows how the guards would decide on a request, and why',
  about:
    'It runs the same code as your server. No request is sent, no nonce is claimed, and nothing is recorded.',
  positionals: 'POLICY',
  options: {
    ...LOOKING,
    ...CURL_OPTIONS,
    request: {
      type: 'string',
      value: 'FILE',
      help: 'the request as JSON, as in the expectations of a policy; `-` reads standard input',
    },
    url: { type: 'string', value: 'URL', help: 'the absolute URL of the request' },
    method: { type: 'string', value: 'METHOD', help: 'the method; default: GET' },
    header: {
      type: 'string',
      multiple: true,
      value: 'LINE',
      help: 'a header, as "Origin: https://example.org"',
    },
    'body-file': { type: 'string', value: 'FILE', help: 'a file with the body; `-` reads standard input' },
    address: { type: 'string', value: 'ADDRESS', help: 'the client address' },
    'return-url': { type: 'string', value: 'URL', help: 'the return URL in the request' },
    country: { type: 'string', value: 'CODE', help: 'the country of the person' },
    here: { type: 'string', value: 'LOCATION', help: 'the location of the server, such as `london`' },
  },
  exits: {
    ok: 'the request would pass',
    no: 'the request would be refused',
    failed: 'the policy is invalid',
  },
  examples: [
    'portcullis policy try example-shop --url https://gateway.example/auth --address 203.0.113.7',
    'portcullis policy try ./new.json --request request.json --json',
  ],
  call: {
    method: 'POST',
    path: 'apps/APP/trial',
    options: ['request', 'url', 'method', 'header', 'body-file', 'address', 'return-url', 'country', 'here'],
    content: contentOf('triedRequest'),
  },
  load: async () => (await import('../judging.ts')).tryRequest,
}
