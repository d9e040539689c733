import { finding, type PolicyFinding } from '../lint/finding.ts'
import { readPolicy, type ReadPolicy } from './parse.ts'
import type { Mode, Protection, Rules } from './section.ts'
import { GUARD_NAMES, RULES, type GuardName } from './sections.ts'

/**
 * Returns advice on a policy document that `parsePolicy` accepts, in the order of the document: what its owner may not have
 * intended, or could protect better. Every entry is checked, regardless of the mode, because the mode may change later. The
 * contents of named `lists` are not known here. Pure. The work is O(n log n) in the number of entries.
 *
 * @throws PolicyError if the document is invalid.
 */
export function lintPolicy(document: unknown): readonly PolicyFinding[] {
  return findingsOf(readPolicy(document))
}

/** Like {@link lintPolicy}, for a policy that has been read. */
export function findingsOf(read: ReadPolicy): PolicyFinding[] {
  return GUARD_NAMES.flatMap((name) => aboutSection(name, read))
}

function aboutSection(name: GuardName, read: ReadPolicy): PolicyFinding[] {
  const section = read.policy[name]
  if (section === undefined) return [missing(name)]
  const rules: Rules<Protection> = RULES[name]
  return [
    ...aboutMode(name, section.mode),
    ...rules.lint(section, read.lists[name] ?? {}),
    ...duplicates(name, read),
  ]
}

function missing(name: GuardName): PolicyFinding {
  const message =
    'is missing, so this guard refuses every request where it is mounted: add the section, with mode `off` if the guard does not apply'
  return finding(
    'section-missing',
    name,
    message,
    RULES[name].modeIsEnough ? '{ "mode": "enforce" }' : undefined,
  )
}

function aboutMode(name: GuardName, mode: Mode): PolicyFinding[] {
  if (mode === 'enforce') return []
  const path = `${name}.mode`
  return mode === 'off'
    ? [finding('mode-off', path, 'protects nothing: the guard lets every request pass', 'enforce')]
    : [
        finding(
          'mode-report',
          path,
          'protects nothing yet: refusals are recorded but not carried out',
          'enforce',
        ),
      ]
}

/** Entries with the same meaning as an earlier entry of their list, which are not stored. */
function duplicates(name: GuardName, { duplicates: found }: ReadPolicy): PolicyFinding[] {
  return [...found]
    .filter(([path]) => path.startsWith(`${name}.`))
    .flatMap(([path, list]) =>
      list.map(({ index, first }) => {
        const message = `means the same as \`${path}[${first}]\` and is not stored: remove it`
        return finding('entry-duplicate', `${path}[${index}]`, message)
      }),
    )
}
