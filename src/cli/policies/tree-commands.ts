import type { CommandRow } from '../command.ts'
import { managing } from '../loading.ts'
import { CHANGING, LOOKING, YES_OPTION } from '../option-rows.ts'

const PRUNE = { type: 'boolean', help: 'also removes apps that no longer have a file' } as const

/** Commands for many policies at once, as files that are kept in git. */
export const TREE_COMMANDS: readonly CommandRow[] = [
  {
    name: 'policy plan',
    summary: 'shows what the policy files would change in the store',
    about:
      'With `--out`, the plan is written to a file. `policy apply` then carries out exactly this plan, or nothing.',
    positionals: 'PATH…',
    options: {
      ...LOOKING,
      out: { type: 'string', value: 'FILE', help: 'writes the plan to this file' },
      prune: { ...PRUNE, help: 'also removes apps of the store that have no file' },
      'fail-on': {
        type: 'string',
        value: 'WHAT',
        choices: ['changes', 'wider'],
        help: 'exits with 3 on any change, or only on a change that allows more',
      },
    },
    exits: {
      failed: 'a policy is invalid',
      no: 'there is a change that `--fail-on` names, or a policy fails one of its own expectations',
    },
    examples: ['portcullis policy plan policies --out plan.json', 'portcullis policy apply plan.json'],
    load: managing('planPolicies'),
  },
  {
    name: 'policy apply',
    summary: 'carries out a plan, unless the store has changed since it was made',
    positionals: 'PLAN',
    options: CHANGING,
    exits: { failed: 'an app in the plan has changed since, and nothing was written' },
    load: managing('applyPlan'),
  },
  {
    name: 'policy pull',
    summary: 'writes the policies in the store to files, one per app',
    about:
      'The file `.portcullis-revisions` in the same directory records the revisions, so that `policy push` detects changes made by others.',
    positionals: 'DIRECTORY',
    options: { ...LOOKING, prune: { ...PRUNE, help: 'also removes files of apps that no longer exist' } },
    exits: { failed: 'a file cannot be written' },
    load: managing('pullPolicies'),
  },
  {
    name: 'policy push',
    summary: 'writes policy files to the store: all of them, or none',
    about:
      'All files are checked before the first one is written. If someone else has changed an app since `policy pull`, nothing is written.',
    positionals: 'DIRECTORY',
    options: {
      ...CHANGING,
      ...YES_OPTION,
      prune: PRUNE,
      force: { type: 'boolean', help: 'overwrites changes that others have made since `policy pull`' },
    },
    exits: {
      failed:
        'a policy is invalid, or someone else has changed an app since `policy pull`; nothing was written',
      no: 'you answered no',
    },
    load: managing('pushPolicies'),
  },
]
