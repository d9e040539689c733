import type { CommandRow } from '../command.ts'
import { CHECKPOINT_OPTIONS, LOG_OPTIONS, QUERY_OPTIONS, WATCHED_OPTIONS } from './option-rows.ts'

/** The commands for the audit log. */
export const AUDIT_COMMANDS: readonly CommandRow[] = [
  {
    name: 'audit tail',
    summary: 'shows events as they arrive',
    options: { ...LOG_OPTIONS, ...WATCHED_OPTIONS, ...QUERY_OPTIONS },
    load: async () => (await import('./runs.ts')).tail,
  },
  {
    name: 'audit query',
    summary: 'shows the events that match',
    options: {
      ...LOG_OPTIONS,
      ...WATCHED_OPTIONS,
      ...QUERY_OPTIONS,
      limit: { type: 'string', value: 'NUMBER', help: 'how many events to show; default: 100' },
      after: {
        type: 'string',
        value: 'PLACE',
        help: 'continues after this event, which the previous page printed',
      },
    },
    exits: { no: 'there are no such events' },
    load: async () => (await import('./runs.ts')).query,
  },
  {
    name: 'audit verify',
    summary: 'checks that no event was changed, removed, repeated or added',
    options: {
      ...LOG_OPTIONS,
      ...CHECKPOINT_OPTIONS,
      origin: { type: 'string', value: 'NAME', help: 'the name of the log' },
    },
    exits: { no: 'the verification found a problem' },
    load: async () => (await import('./runs.ts')).verify,
  },
  {
    name: 'audit prove',
    summary: 'shows one event and its inclusion proof: the path to the root of its frame',
    positionals: 'EVENT',
    options: LOG_OPTIONS,
    exits: { no: 'there is no event with this id' },
    load: async () => (await import('./runs.ts')).prove,
  },
  {
    name: 'audit rejudge',
    summary: 'judges recorded requests again, and shows which decisions would change',
    options: {
      ...LOG_OPTIONS,
      policy: {
        type: 'string',
        multiple: true,
        value: 'FILE',
        help: "a draft to judge with, instead of its app's recorded policies",
      },
    },
    exits: { no: 'a decision would change, or no decision could be judged again' },
    load: async () => (await import('./runs.ts')).rejudgeAll,
  },
  {
    name: 'audit subject',
    summary: "reports every access to a person's data",
    positionals: 'PERSON',
    options: {
      ...LOG_OPTIONS,
      ...WATCHED_OPTIONS,
      'reveal-actors': { type: 'boolean', help: 'shows the pseudonyms of the people who read the data' },
    },
    exits: { no: 'the log has no events about this person' },
    load: async () => (await import('./runs.ts')).subject,
  },
  {
    name: 'audit erase',
    summary: 'erases people: their events stay, but can no longer be linked to them',
    positionals: 'PERSON…',
    options: {
      ...LOG_OPTIONS,
      ...WATCHED_OPTIONS,
      prove: {
        type: 'string',
        multiple: true,
        value: 'DIRECTORY',
        help: 'then searches this directory for traces of them',
      },
    },
    exits: {
      failed: 'a trace was found in a `--prove` directory',
      no: 'the log has no secrets of these people',
    },
    load: async () => (await import('./runs.ts')).erase,
  },
  {
    name: 'audit export',
    summary: 'writes all matching events to standard output',
    options: {
      ...LOG_OPTIONS,
      ...WATCHED_OPTIONS,
      ...QUERY_OPTIONS,
      'to-format': { type: 'string', value: 'FORMAT', help: 'ndjson, ocsf or cloudevents; default: ndjson' },
    },
    exits: { no: 'there are no such events' },
    load: async () => (await import('./runs.ts')).exportAll,
  },
  {
    name: 'audit retain',
    summary: 'moves old frames to an archive, and leaves a checkpoint',
    options: {
      ...LOG_OPTIONS,
      ...CHECKPOINT_OPTIONS,
      days: { type: 'string', value: 'NUMBER', help: 'moves frames whose events are all older than this' },
    },
    exits: { no: 'no frame is that old' },
    load: async () => (await import('./runs.ts')).retain,
  },
]
