import type { CommandRow } from '../command.ts'
import { contentOf, managing } from '../loading.ts'
import { CHANGING, CURL_OPTIONS, JSON_OPTION, LOOKING, REVISION_OPTION, YES_OPTION } from '../option-rows.ts'
import { SEVERITY_NAMES } from './severities.ts'
import { TREE_COMMANDS } from './tree-commands.ts'
import { TRY_COMMAND } from './try-command.ts'

const OPERANDS =
  'POLICY is an app id, `APP@REVISION`, a path that contains `/` or ends with `.json`, or `-` for standard input.'

const FAIL_ON = {
  type: 'string',
  value: 'SEVERITY',
  choices: SEVERITY_NAMES,
} as const

/** The commands for policies. */
export const POLICY_COMMANDS: readonly CommandRow[] = [
  {
    name: 'policy get',
    summary: 'prints the policy of an app as JSON',
    positionals: 'APP',
    options: {
      ...LOOKING,
      ...CURL_OPTIONS,
      revision: { type: 'string', value: 'NUMBER', help: 'the policy at this revision' },
    },
    exits: { no: 'there is no such app, or no such revision' },
    examples: ['portcullis policy get example-shop > example-shop.json'],
    call: { method: 'GET', path: 'apps/APP' },
    load: managing('getPolicy'),
  },
  {
    name: 'policy set',
    summary: 'writes a policy from a file as a new revision',
    about:
      'Without `--if-revision`, it replaces the current revision, whatever it is. A policy with the same meaning is not written.',
    positionals: 'FILE',
    options: {
      ...CHANGING,
      ...REVISION_OPTION,
      ...CURL_OPTIONS,
      'fail-on': { ...FAIL_ON, help: 'writes nothing if lint finds a problem of this severity or worse' },
    },
    exits: {
      failed: 'the policy is invalid, or another revision is current',
      no: 'lint found a problem of the `--fail-on` severity, or the policy fails one of its own expectations',
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
    summary: 'opens the policy of an app in an editor, and writes the result',
    about:
      'The editor is PORTCULLIS_EDITOR, VISUAL or EDITOR; if none is set, `vi` on a terminal. An invalid policy is kept in a file, whose path is shown.',
    positionals: 'APP',
    options: CHANGING,
    exits: {
      failed: 'the policy is invalid, the editor failed, or the policy was changed in the meantime',
      no: 'there is no such app',
    },
    load: managing('editPolicy'),
  },
  {
    name: 'policy validate',
    summary: 'checks that policies are valid',
    about: 'It needs no store.',
    positionals: 'FILE…',
    options: JSON_OPTION,
    exits: { no: 'a policy is invalid' },
    examples: ['portcullis policy validate policies/*.json'],
    load: managing('validatePolicies'),
  },
  {
    name: 'policy lint',
    summary: 'shows how a policy could protect better, and its score',
    about: OPERANDS,
    positionals: 'POLICY',
    options: {
      ...LOOKING,
      ...CURL_OPTIONS,
      'fail-on': { ...FAIL_ON, help: 'exits with 3 on a finding of this severity or worse; default: danger' },
    },
    exits: { no: 'there is a finding of the `--fail-on` severity or worse', failed: 'the policy is invalid' },
    call: { method: 'GET', path: 'apps/APP' },
    load: managing('lintPolicyOf'),
  },
  {
    name: 'policy diff',
    summary: 'shows the differences between two policies',
    about: OPERANDS,
    positionals: 'POLICY POLICY',
    options: LOOKING,
    exits: { ok: 'the policies mean the same', no: 'the policies differ', failed: 'a policy is invalid' },
    examples: [
      'portcullis policy diff example-shop@3 example-shop',
      'portcullis policy diff example-shop ./new.json',
    ],
    load: managing('diffPoliciesOf'),
  },
  {
    name: 'policy compare',
    summary:
      'determines whether one policy allows more than another, and shows the smallest request that proves it',
    about: `The verdict on the second policy is equal, narrower, wider or both. ${OPERANDS}`,
    positionals: 'POLICY POLICY',
    options: {
      ...LOOKING,
      'fail-on': {
        type: 'string',
        value: 'VERDICT',
        choices: ['wider', 'narrower', 'differs'],
        help: 'exits with 3 on this verdict; default: wider',
      },
    },
    exits: { no: 'the verdict is the one given by `--fail-on`, or both', failed: 'a policy is invalid' },
    examples: ['portcullis policy compare example-shop ./new.json --fail-on wider'],
    load: async () => (await import('../judging.ts')).comparePoliciesOf,
  },
  {
    name: 'policy history',
    summary: 'shows the revisions of an app, newest first',
    positionals: 'APP',
    options: {
      ...LOOKING,
      ...CURL_OPTIONS,
      limit: { type: 'string', value: 'NUMBER', help: 'how many revisions to show; default: 20' },
      before: { type: 'string', value: 'NUMBER', help: 'only revisions before this one' },
    },
    exits: { no: 'there are no revisions' },
    call: { method: 'GET', path: 'apps/APP/history', query: { limit: 'limit', before: 'before' } },
    load: managing('showHistory'),
  },
  {
    name: 'policy rollback',
    summary: 'restores the policy of an earlier revision as a new revision',
    about: 'Keys are not changed: a revoked key does not come back.',
    positionals: 'APP',
    options: {
      ...CHANGING,
      ...REVISION_OPTION,
      ...YES_OPTION,
      ...CURL_OPTIONS,
      to: { type: 'string', value: 'NUMBER', help: 'the revision to restore' },
    },
    exits: {
      failed: 'there is no such revision, or another revision is current',
      no: 'you answered no',
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
