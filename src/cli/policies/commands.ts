import type { CommandRow } from '../command.ts'
import { contentOf, managing } from '../loading.ts'
import { CHANGING, CURL_OPTIONS, JSON_OPTION, LOOKING, REVISION_OPTION, YES_OPTION } from '../option-rows.ts'
import { SEVERITY_NAMES } from './severities.ts'
import { TREE_COMMANDS } from './tree-commands.ts'
import { TRY_COMMAND } from './try-command.ts'

const OPERANDS =
  'A policy is named by the id of its app, by `APP@REVISION`, by a path that contains `/` or ends with `.json`, or by `-` for the standard input.'

const FAIL_ON = {
  type: 'string',
  value: 'SEVERITY',
  choices: SEVERITY_NAMES,
} as const

/** The commands about policies. */
export const POLICY_COMMANDS: readonly CommandRow[] = [
  {
    name: 'policy get',
    summary: 'writes the policy of an app as JSON',
    positionals: 'APP',
    options: {
      ...LOOKING,
      ...CURL_OPTIONS,
      revision: { type: 'string', value: 'NUMBER', help: 'as it was at this revision' },
    },
    exits: { no: 'there is no such app, or no such revision' },
    examples: ['portcullis policy get example-shop > example-shop.json'],
    call: { method: 'GET', path: 'apps/APP' },
    load: managing('getPolicy'),
  },
  {
    name: 'policy set',
    summary: 'writes the policy of a file as a new revision',
    about:
      'Without `--if-revision` it replaces whichever revision is current. A policy that means the same is not written.',
    positionals: 'FILE',
    options: {
      ...CHANGING,
      ...REVISION_OPTION,
      ...CURL_OPTIONS,
      'fail-on': { ...FAIL_ON, help: 'writes nothing if lint finds this or worse' },
    },
    exits: {
      failed: 'the policy was refused, or another revision is current',
      no: 'lint found what `--fail-on` names, or the policy breaks an expectation of its own',
    },
    examples: ['portcullis policy set example-shop.json --if-revision 4 --note "new office"'],
    call: {
      method: 'PUT',
      path: 'apps/APP/policy',
      conditional: 'named',
      query: { note: 'why' },
      content: contentOf('newPolicy'),
    },
    load: managing('setPolicy'),
  },
  {
    name: 'policy edit',
    summary: 'opens the policy of an app in an editor, and writes what was made of it',
    about:
      'The editor is PORTCULLIS_EDITOR, VISUAL or EDITOR, and on a terminal `vi` where none is set. What is refused stays in a file, whose path is shown.',
    positionals: 'APP',
    options: CHANGING,
    exits: {
      failed: 'the policy was refused, the editor failed, or somebody else wrote',
      no: 'there is no such app',
    },
    load: managing('editPolicy'),
  },
  {
    name: 'policy validate',
    summary: 'checks that policies would be taken',
    about: 'It needs no store.',
    positionals: 'FILE…',
    options: JSON_OPTION,
    exits: { no: 'one of them is refused' },
    examples: ['portcullis policy validate policies/*.json'],
    load: managing('validatePolicies'),
  },
  {
    name: 'policy lint',
    summary: 'shows what a policy could protect better, and its score',
    about: OPERANDS,
    positionals: 'POLICY',
    options: {
      ...LOOKING,
      ...CURL_OPTIONS,
      'fail-on': { ...FAIL_ON, help: 'ends with 3 if there is this or worse; default danger' },
    },
    exits: { no: 'there is what `--fail-on` names', failed: 'the policy was refused' },
    call: { method: 'GET', path: 'apps/APP' },
    load: managing('lintPolicyOf'),
  },
  {
    name: 'policy diff',
    summary: 'shows what differs between two policies',
    about: OPERANDS,
    positionals: 'POLICY POLICY',
    options: LOOKING,
    exits: { ok: 'they mean the same', no: 'they differ', failed: 'a policy was refused' },
    examples: [
      'portcullis policy diff example-shop@3 example-shop',
      'portcullis policy diff example-shop ./new.json',
    ],
    load: managing('diffPoliciesOf'),
  },
  {
    name: 'policy compare',
    summary:
      'tells exactly whether one policy lets more pass than another, with the smallest request that shows it',
    about: `The verdict on the second is equal, narrower, wider or both. ${OPERANDS}`,
    positionals: 'POLICY POLICY',
    options: {
      ...LOOKING,
      'fail-on': {
        type: 'string',
        value: 'VERDICT',
        choices: ['wider', 'narrower', 'differs'],
        help: 'ends with 3 on this; default wider',
      },
    },
    exits: { no: 'the verdict is what `--fail-on` names, or both', failed: 'a policy was refused' },
    examples: ['portcullis policy compare example-shop ./new.json --fail-on wider'],
    load: async () => (await import('../judging.ts')).comparePoliciesOf,
  },
  {
    name: 'policy history',
    summary: 'shows the revisions of an app, the newest first',
    positionals: 'APP',
    options: {
      ...LOOKING,
      ...CURL_OPTIONS,
      limit: { type: 'string', value: 'NUMBER', help: 'how many at most; default 20' },
      before: { type: 'string', value: 'NUMBER', help: 'those before this revision' },
    },
    exits: { no: 'there are no revisions' },
    call: { method: 'GET', path: 'apps/APP/history', query: { limit: 'limit', before: 'before' } },
    load: managing('showHistory'),
  },
  {
    name: 'policy rollback',
    summary: 'writes the policy of an earlier revision again, as a new revision',
    about: 'Keys stay as they are: one that was revoked does not come back.',
    positionals: 'APP',
    options: {
      ...CHANGING,
      ...REVISION_OPTION,
      ...YES_OPTION,
      ...CURL_OPTIONS,
      to: { type: 'string', value: 'NUMBER', help: 'the revision whose policy comes back' },
    },
    exits: {
      failed: 'there is no such revision, or another one is current',
      no: 'the question was answered with no',
    },
    call: {
      method: 'POST',
      path: 'apps/APP/rollback',
      conditional: 'named',
      options: ['to', 'note'],
      content: contentOf('rollbackTo'),
    },
    load: managing('rollback'),
  },
  TRY_COMMAND,
  ...TREE_COMMANDS,
]
