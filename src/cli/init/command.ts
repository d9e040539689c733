import type { CommandRow } from '../command.ts'
import { JSON_OPTION } from '../option-rows.ts'

export const INIT_COMMAND: CommandRow = {
  name: 'init',
  summary: 'shows the lines that guard an Express application, and a first policy',
  about:
    'It looks at package.json and the sources: the version of Express, ESM or CommonJS, `trust proxy`. The first policy reports and refuses nothing yet. ' +
    'With `--write` both are written as new files; a file that is there is never changed.',
  options: {
    ...JSON_OPTION,
    app: { type: 'string', value: 'ID', help: 'the app id of the first policy; default example-shop' },
    write: { type: 'boolean', help: 'writes the files' },
  },
  exits: { failed: 'a file is there already, and nothing was written' },
  load: async () => (await import('../examining.ts')).init,
}
