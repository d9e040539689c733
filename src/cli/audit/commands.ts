import type { CommandRow } from '../command.ts'
import { CHECKPOINT_OPTIONS, LOG_OPTIONS, QUERY_OPTIONS, WATCHED_OPTIONS } from './option-rows.ts'

/** The commands of the audit log. */
export const AUDIT_COMMANDS: readonly CommandRow[] = [
  {
    name: 'audit tail',
    summary: 'shows events as they come',
    options: { ...LOG_OPTIONS, ...WATCHED_OPTIONS, ...QUERY_OPTIONS },
    load: async () => (await import('./runs.ts')).tail,
  },
  {
    name: 'audit query',
    summary: 'shows events that fit',
    options: {
      ...LOG_OPTIONS,
      ...WATCHED_OPTIONS,
      ...QUERY_OPTIONS,
      limit: { type: 'string', value: 'NUMBER', help: 'how many at most; default 100' },
      after: { type: 'string', value: 'PLACE', help: 'continues after an earlier page' },
    },
    exits: { no: 'there are no such events' },
    load: async () => (await import('./runs.ts')).query,
  },
  {
    name: 'audit verify',
    summary: 'checks that nothing was changed, removed, repeated or added',
    options: {
      ...LOG_OPTIONS,
      ...CHECKPOINT_OPTIONS,
      origin: { type: 'string', value: 'NAME', help: 'the name of the log' },
    },
    exits: { no: 'something is wrong with the log' },
    load: async () => (await import('./runs.ts')).verify,
  },
  {
    name: 'audit prove',
    summary: 'shows one event with the path to the root of its frame',
    positionals: 'EVENT',
    options: LOG_OPTIONS,
    exits: { no: 'there is no event with this id' },
    load: async () => (await import('./runs.ts')).prove,
  },
  {
    name: 'audit rejudge',
    summary: 'judges recorded requests again: which decisions would be others?',
    options: {
      ...LOG_OPTIONS,
      policy: {
        type: 'string',
        multiple: true,
        value: 'FILE',
        help: 'a draft that is tried in place of the recorded policies of its app',
      },
    },
    exits: { no: 'a decision would be another one, or none could be judged again' },
    load: async () => (await import('./runs.ts')).rejudgeAll,
  },
  {
    name: 'audit subject',
    summary: 'reports all accesses to the data of a person',
    positionals: 'PERSON',
    options: {
      ...LOG_OPTIONS,
      ...WATCHED_OPTIONS,
      'reveal-actors': { type: 'boolean', help: 'shows the pseudonyms of the people who have read' },
    },
    exits: { no: 'nothing is known of this person' },
    load: async () => (await import('./runs.ts')).subject,
  },
  {
    name: 'audit erase',
    summary: 'forgets people: their events stay, and nothing leads to them',
    positionals: 'PERSON…',
    options: {
      ...LOG_OPTIONS,
      ...WATCHED_OPTIONS,
      prove: {
        type: 'string',
        multiple: true,
        value: 'DIRECTORY',
        help: 'searches the files of a directory for them afterwards',
      },
    },
    exits: { failed: 'a trace was found in a directory of `--prove`', no: 'nothing was known of them' },
    load: async () => (await import('./runs.ts')).erase,
  },
  {
    name: 'audit export',
    summary: 'writes all events that fit to the standard output',
    options: {
      ...LOG_OPTIONS,
      ...WATCHED_OPTIONS,
      ...QUERY_OPTIONS,
      'to-format': { type: 'string', value: 'FORMAT', help: 'ndjson, ocsf or cloudevents; default ndjson' },
    },
    exits: { no: 'there are no such events' },
    load: async () => (await import('./runs.ts')).exportAll,
  },
  {
    name: 'audit retain',
    summary: 'moves old frames to an archive, behind a checkpoint',
    options: {
      ...LOG_OPTIONS,
      ...CHECKPOINT_OPTIONS,
      days: { type: 'string', value: 'NUMBER', help: 'how old the events of a frame must be' },
    },
    exits: { no: 'no frame is that old' },
    load: async () => (await import('./runs.ts')).retain,
  },
]
