import type { CommandRow } from '../command.ts'
import { JSON_OPTION } from '../option-rows.ts'

export const INIT_COMMAND: CommandRow = {
  name: 'init',
  summary: 'shows the code that guards an Express application, and a first policy',
  about:
    'It reads package.json and the sources for the Express version, ESM or CommonJS, and `trust proxy`. The first policy only reports, and refuses nothing. ' +
    'With `--write`, both are written as new files; existing files are never changed.',
  options: {
    ...JSON_OPTION,
    app: { type: 'string', value: 'ID', help: 'the app id of the first policy; default: example-shop' },
    write: { type: 'boolean', help: 'writes the files' },
  },
  exits: { failed: 'a file exists already, and nothing was written' },
  load: async () => (await import('../examining.ts')).init,
}
