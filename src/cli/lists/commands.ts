import type { CommandRow } from '../command.ts'
import { managing } from '../loading.ts'
import { CHANGING, CURL_OPTIONS, LOOKING, REVISION_OPTION } from '../option-rows.ts'

const FORMAT = { type: 'string', value: 'FORMAT', choices: ['text', 'csv', 'json'] } as const

/** The commands about named lists of addresses. */
export const LIST_COMMANDS: readonly CommandRow[] = [
  {
    name: 'list show',
    summary: 'shows the named lists, or one of them',
    positionals: '[NAME]',
    options: { ...LOOKING, ...CURL_OPTIONS },
    exits: { no: 'there are no lists, or no such list' },
    call: { method: 'GET', path: 'lists/[NAME]' },
    load: managing('showLists'),
  },
  {
    name: 'list import',
    summary: 'replaces a named list by the entries of a file, or makes it',
    about:
      'Readers have the old list or the new one. Ctrl-C leaves the old one; with Redis the same command continues within an hour where it stopped.',
    positionals: 'NAME FILE',
    options: {
      ...CHANGING,
      ...REVISION_OPTION,
      format: { ...FORMAT, help: 'how the file is written; default by the end of its name, or else text' },
    },
    exits: {
      failed: 'an entry was refused, or another revision is current',
      interrupted: 'interrupted; the list is as it was',
    },
    examples: [
      'portcullis list import office office.csv --store file:policies',
      'portcullis list export office | portcullis list import office-2 -',
    ],
    load: managing('importList'),
  },
  {
    name: 'list export',
    summary: 'writes the entries of a named list to the standard output',
    positionals: 'NAME',
    options: { ...LOOKING, format: { ...FORMAT, help: 'how they are written; default text' } },
    exits: { no: 'there is no such list' },
    examples: ['portcullis list export office --format csv > office.csv'],
    load: managing('exportList'),
  },
]
