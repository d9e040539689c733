import type { CommandRow } from '../command.ts'
import { contentOf, managing } from '../loading.ts'
import { CHANGING, CURL_OPTIONS, LOOKING, REVISION_OPTION, YES_OPTION } from '../option-rows.ts'

/** The commands for apps. */
export const APP_COMMANDS: readonly CommandRow[] = [
  {
    name: 'app list',
    summary: 'lists the apps, sorted by id',
    about: 'With `--json`, each app is one line.',
    options: {
      ...LOOKING,
      ...CURL_OPTIONS,
      limit: { type: 'string', value: 'NUMBER', help: 'how many apps to show; default: all' },
      after: { type: 'string', value: 'ID', help: 'starts after this id' },
    },
    exits: { no: 'there are no apps' },
    examples: ['portcullis app list --store file:policies.json'],
    call: { method: 'GET', path: 'apps', query: { limit: 'limit', after: 'after' } },
    load: managing('listApps'),
  },
  {
    name: 'app create',
    summary: 'creates an app; without `--policy`, every guard refuses its requests',
    positionals: 'APP',
    options: {
      ...CHANGING,
      ...CURL_OPTIONS,
      name: { type: 'string', value: 'TEXT', help: 'a display name' },
      policy: {
        type: 'string',
        value: 'FILE',
        help: 'a JSON file with its policy; `-` reads standard input',
      },
    },
    exits: { failed: 'the policy is invalid, or an app with this id exists' },
    examples: ['portcullis app create example-shop --name "Example shop" --store file:policies.json'],
    call: {
      method: 'PUT',
      path: 'apps/APP/policy',
      conditional: 'new',
      query: { note: 'why' },
      options: ['name', 'policy'],
      content: contentOf('newApp'),
    },
    load: managing('createApp'),
  },
  {
    name: 'app show',
    summary: 'shows an app: modes, score and keys (without their secrets)',
    positionals: 'APP',
    options: { ...LOOKING, ...CURL_OPTIONS },
    exits: { no: 'there is no such app' },
    call: { method: 'GET', path: 'apps/APP' },
    load: managing('showApp'),
  },
  {
    name: 'app delete',
    summary: 'removes an app and its keys; its history is kept',
    about:
      'Its requests are refused from then on. `policy rollback` restores the policy, but never the keys.',
    positionals: 'APP',
    options: { ...CHANGING, ...REVISION_OPTION, ...YES_OPTION },
    exits: {
      failed: 'another revision is current',
      no: 'there is no such app, or you answered no',
    },
    load: managing('deleteApp'),
  },
]
