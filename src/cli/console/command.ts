import type { CommandRow } from '../command.ts'
import { STORE_OPTIONS } from '../option-rows.ts'

export const CONSOLE_COMMAND: CommandRow = {
  name: 'console',
  summary: 'starts the console for a store, reachable only from this machine',
  about:
    'Listens on 127.0.0.1, and prints its address with a token for one sign-in; after each sign-in it prints the next one. ' +
    'Drafts are in the memory of the command, and end with it. What is done in the console is recorded: with Redis in the audit ' +
    'log or in the stream that `--audit-stream` names, with a file store in `console-audit.ndjson` in the same directory. PORTCULLIS_PSEUDONYM_KEY ' +
    'and PORTCULLIS_JUDGED_KEY are the `pseudonymKey` and the `judgements.key` of `auditAccess` in base64: with them people are found, ' +
    'and requests judged again.',
  options: {
    ...STORE_OPTIONS,
    port: { type: 'string', value: 'NUMBER', help: 'default: one that is free' },
    author: {
      type: 'string',
      value: 'NAME',
      help: 'the name in the history of changes; default: the user of the system',
    },
    right: {
      type: 'string',
      multiple: true,
      value: 'RIGHT',
      help: 'what may be done, such as look or keys; default: everything',
    },
    'audit-stream': {
      type: 'string',
      value: 'KEY',
      help: 'the stream of `redisAuditSink`, where the apps use it in place of the audit log',
    },
  },
  exits: { ok: 'ended by Ctrl-C' },
  examples: ['portcullis console --redis redis://127.0.0.1:6379', 'portcullis console --store file:policies'],
  load: async () => (await import('./serving.ts')).serveConsole,
}
