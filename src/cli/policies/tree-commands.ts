import type { CommandRow } from '../command.ts'
import { managing } from '../loading.ts'
import { CHANGING, LOOKING, YES_OPTION } from '../option-rows.ts'

const PRUNE = { type: 'boolean', help: 'also removes apps whose file no longer exists' } as const

/** The commands about many policies at once, as files that are kept in git. */
export const TREE_COMMANDS: readonly CommandRow[] = [
  {
    name: 'policy plan',
    summary: 'shows what the policies of files would change in the store',
    about:
      'With `--out` the plan is written to a file, which `policy apply` carries out exactly, or not at all.',
    positionals: 'PATH…',
    options: {
      ...LOOKING,
      out: { type: 'string', value: 'FILE', help: 'writes the plan to this file' },
      prune: { ...PRUNE, help: 'also removes apps of the store that have no file' },
      'fail-on': {
        type: 'string',
        value: 'WHAT',
        choices: ['changes', 'wider'],
        help: 'ends with 3 if there are changes, or one that lets more pass',
      },
    },
    exits: {
      failed: 'a policy was refused',
      no: 'there is what `--fail-on` names, or a policy breaks an expectation of its own',
    },
    examples: ['portcullis policy plan policies --out plan.json', 'portcullis policy apply plan.json'],
    load: managing('planPolicies'),
  },
  {
    name: 'policy apply',
    summary: 'carries out a plan, if nobody has written since it was made',
    positionals: 'PLAN',
    options: CHANGING,
    exits: { failed: 'an app of the plan has changed since, and nothing was written' },
    load: managing('applyPlan'),
  },
  {
    name: 'policy pull',
    summary: 'writes the policies of the store to files, one for each app',
    about:
      'The file `.portcullis-revisions` in the same directory keeps the revisions, so that `policy push` notices when somebody else has written.',
    positionals: 'DIRECTORY',
    options: { ...LOOKING, prune: { ...PRUNE, help: 'also removes files of apps that are gone' } },
    exits: { failed: 'a file cannot be written' },
    load: managing('pullPolicies'),
  },
  {
    name: 'policy push',
    summary: 'writes the policies of files to the store, all or none',
    about:
      'All files are checked before the first is written. An app that somebody else has changed since `policy pull` stops everything.',
    positionals: 'DIRECTORY',
    options: {
      ...CHANGING,
      ...YES_OPTION,
      prune: PRUNE,
      force: { type: 'boolean', help: 'replaces what somebody else has written since' },
    },
    exits: {
      failed:
        'a policy was refused, or somebody else has written since `policy pull`, and nothing was written',
      no: 'the question was answered with no',
    },
    load: managing('pushPolicies'),
  },
]
