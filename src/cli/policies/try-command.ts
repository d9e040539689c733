import type { CommandRow } from '../command.ts'
import { contentOf } from '../loading.ts'
import { CURL_OPTIONS, LOOKING } from '../option-rows.ts'

export const TRY_COMMAND: CommandRow = {
  name: 'policy try',
  summary: 'tells what the guards would decide of a request, and why',
  about: 'The same code decides that guards a server. Nothing is sent, claimed or recorded.',
  positionals: 'POLICY',
  options: {
    ...LOOKING,
    ...CURL_OPTIONS,
    request: {
      type: 'string',
      value: 'FILE',
      help: 'the request as JSON, as an expectation of a policy has it; `-` reads the standard input',
    },
    url: { type: 'string', value: 'URL', help: 'the absolute URL that is called' },
    method: { type: 'string', value: 'METHOD', help: 'default GET' },
    header: {
      type: 'string',
      multiple: true,
      value: 'LINE',
      help: 'a header, as "Origin: https://example.org"',
    },
    'body-file': { type: 'string', value: 'FILE', help: 'the content; `-` reads the standard input' },
    address: { type: 'string', value: 'ADDRESS', help: 'the client address' },
    'return-url': { type: 'string', value: 'URL', help: 'the return URL that it names' },
    country: { type: 'string', value: 'CODE', help: 'the country of the person' },
    here: { type: 'string', value: 'LOCATION', help: 'where the server is, as `london`' },
  },
  exits: { ok: 'the request would pass', no: 'it would be refused', failed: 'the policy was refused' },
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
