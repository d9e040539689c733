import type { CommandRow } from '../command.ts'
import { managing } from '../loading.ts'
import { CHANGING, CURL_OPTIONS, LOOKING, REVISION_OPTION } from '../option-rows.ts'

const FORMAT = { type: 'string', value: 'FORMAT', choices: ['text', 'csv', 'json'] } as const

/** The commands for named lists of addresses. */
export const LIST_COMMANDS: readonly CommandRow[] = [
  {
    name: 'list show',
    summary: 'shows all named lists, or one of them',
    positionals: '[NAME]',
    options: { ...LOOKING, ...CURL_OPTIONS },
    exits: { no: 'there are no lists, or no such list' },
    call: { method: 'GET', path: 'lists/[NAME]' },
    load: managing('showLists'),
  },
  {
    name: 'list import',
    summary: 'creates a named list from a file, or replaces its entries',
    about:
      'Servers use the old list until the import is complete. Ctrl-C keeps the old list; with Redis, the same command resumes the import within an hour.',
    positionals: 'NAME FILE',
    options: {
      ...CHANGING,
      ...REVISION_OPTION,
      format: { ...FORMAT, help: 'the format of the file; default: by its file extension, otherwise text' },
    },
    exits: {
      failed: 'an entry is invalid, or another revision is current',
      interrupted: 'interrupted; the list is unchanged',
    },
    examples: [
      'portcullis list import office office.csv --store file:policies.json',
      'portcullis list export office | portcullis list import office-2 -',
    ],
    load: managing('importList'),
  },
  {
    name: 'list export',
    summary: 'writes the entries of a named list to standard output',
    positionals: 'NAME',
    options: { ...LOOKING, format: { ...FORMAT, help: 'the format to write; default: text' } },
    exits: { no: 'there is no such list' },
    examples: ['portcullis list export office --format csv > office.csv'],
    load: managing('exportList'),
  },
]
