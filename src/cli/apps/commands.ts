import type { CommandRow } from '../command.ts'
import { contentOf, managing } from '../loading.ts'
import { CHANGING, CURL_OPTIONS, LOOKING, REVISION_OPTION, YES_OPTION } from '../option-rows.ts'

/** The commands about apps. */
export const APP_COMMANDS: readonly CommandRow[] = [
  {
    name: 'app list',
    summary: 'lists the apps, in the order of their ids',
    about: 'With `--json` each app is a line of its own.',
    options: {
      ...LOOKING,
      ...CURL_OPTIONS,
      limit: { type: 'string', value: 'NUMBER', help: 'how many at most; default all' },
      after: { type: 'string', value: 'ID', help: 'begins behind this id' },
    },
    exits: { no: 'there are no apps' },
    examples: ['portcullis app list --store file:policies'],
    call: { method: 'GET', path: 'apps', query: { limit: 'limit', after: 'after' } },
    load: managing('listApps'),
  },
  {
    name: 'app create',
    summary: 'makes an app, with a policy or with one that still refuses everybody',
    positionals: 'APP',
    options: {
      ...CHANGING,
      ...CURL_OPTIONS,
      name: { type: 'string', value: 'TEXT', help: 'a name for people' },
      policy: { type: 'string', value: 'FILE', help: 'its policy as JSON; `-` reads the standard input' },
    },
    exits: { failed: 'the policy was refused, or there is an app with this id' },
    examples: ['portcullis app create example-shop --name "Example shop" --store file:policies'],
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
    summary: 'shows what is stored of an app: modes, score, keys without their secrets',
    positionals: 'APP',
    options: { ...LOOKING, ...CURL_OPTIONS },
    exits: { no: 'there is no such app' },
    call: { method: 'GET', path: 'apps/APP' },
    load: managing('showApp'),
  },
  {
    name: 'app delete',
    summary: 'removes an app with its keys; its history stays',
    about:
      'From then on its requests are refused. `policy rollback` brings the policy back, and never the keys.',
    positionals: 'APP',
    options: { ...CHANGING, ...REVISION_OPTION, ...YES_OPTION },
    exits: {
      failed: 'another revision is current',
      no: 'there is no such app, or the question was answered with no',
    },
    load: managing('deleteApp'),
  },
]
