import type { CommandRow } from '../command.ts'
import { STORE_OPTIONS } from '../option-rows.ts'

export const CONSOLE_COMMAND: CommandRow = {
  name: 'console',
  summary: 'starts the console for a store, reachable from this machine only',
  about:
    'It listens on 127.0.0.1, and prints its address and a token for one sign-in; after each sign-in it prints the next token. ' +
    'Drafts are kept in memory, and are lost when the command ends. Everything done in the console is recorded: with Redis in the audit ' +
    'log or in the stream given by `--audit-stream`, with a file store in `console-audit.ndjson` next to it. Set PORTCULLIS_PSEUDONYM_KEY ' +
    'and PORTCULLIS_JUDGED_KEY to the `pseudonymKey` and the `judgements.key` of `auditAccess`, in base64, to search for people ' +
    'and to judge requests again.',
  options: {
    ...STORE_OPTIONS,
    port: { type: 'string', value: 'NUMBER', help: 'default: any free port' },
    author: {
      type: 'string',
      value: 'NAME',
      help: 'your name in the history of changes; default: your user name',
    },
    right: {
      type: 'string',
      multiple: true,
      value: 'RIGHT',
      help: 'a right of this session, such as look or keys; default: all rights',
    },
    'audit-stream': {
      type: 'string',
      value: 'KEY',
      help: 'the stream of `redisAuditSink`, if your servers use it instead of the audit log',
    },
  },
  exits: { ok: 'ended by Ctrl-C' },
  examples: [
    'portcullis console --redis redis://127.0.0.1:6379',
    'portcullis console --store file:policies.json',
  ],
  load: async () => (await import('./serving.ts')).serveConsole,
}
