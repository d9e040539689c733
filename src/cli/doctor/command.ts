import type { CommandRow } from '../command.ts'
import { JSON_OPTION, STORE_OPTIONS } from '../option-rows.ts'

export const DOCTOR_COMMAND: CommandRow = {
  name: 'doctor',
  summary: 'checks a set-up: HTTPS, clock, proxies, order of guards, store, rights in Redis',
  about:
    'Each check passes, warns, fails, or is skipped with a reason. Neither secrets nor policies are in the report, so that it can be sent to others.',
  options: {
    ...STORE_OPTIONS,
    ...JSON_OPTION,
    url: {
      type: 'string',
      value: 'URL',
      help: 'a URL of your service, from which HTTPS and the clock are judged',
    },
    project: {
      type: 'string',
      value: 'DIRECTORY',
      help: 'the application whose sources are looked at; default here',
    },
    strict: { type: 'boolean', help: 'ends with 3 on warnings too' },
  },
  exits: { no: 'a check failed' },
  examples: [
    'portcullis doctor --url https://gateway.example --store file:policies',
    'portcullis doctor --strict --json',
  ],
  load: async () => (await import('../examining.ts')).doctor,
}
