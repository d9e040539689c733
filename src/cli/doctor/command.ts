import type { CommandRow } from '../command.ts'
import { JSON_OPTION, STORE_OPTIONS } from '../option-rows.ts'

export const DOCTOR_COMMAND: CommandRow = {
  name: 'doctor',
  summary:
    'checks a setup: HTTPS, clock, proxies, order of guards, secrets in the code, store, Redis permissions',
  about:
    'Each check passes, warns, fails, or is skipped for a stated reason. The report contains no secrets and no policies, so you can send it to others.',
  options: {
    ...STORE_OPTIONS,
    ...JSON_OPTION,
    url: {
      type: 'string',
      value: 'URL',
      help: 'a URL of your service, to check HTTPS and the clock',
    },
    project: {
      type: 'string',
      value: 'DIRECTORY',
      help: 'the directory of the application to inspect; default: the current one',
    },
    strict: { type: 'boolean', help: 'exits with 3 on warnings too' },
  },
  exits: { no: 'a check failed' },
  examples: [
    'portcullis doctor --url https://gateway.example --store file:policies.json',
    'portcullis doctor --strict --json',
  ],
  load: async () => (await import('../examining.ts')).doctor,
}
