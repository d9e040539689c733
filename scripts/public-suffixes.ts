// Writes src/match/public-suffix-list.ts. Run it with `npm run public-suffixes` after an update of tldts, which
// contains the list.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

/** The list as tldts ships it: a trie in flat arrays. `labelText` contains all labels, one after another. */
interface Trie {
  readonly nodeFlags: Uint8Array
  readonly edgeStart: Uint16Array
  readonly edgeLength: Uint8Array
  readonly edgeChild: Uint16Array
  readonly labelText: string
  readonly rulesRoot: number
  readonly exceptionsRoot: number
}

/** Every rule of the Public Suffix List in its notation, such as `co.uk`, `*.ck` and `!www.ck`. Names are in ASCII. */
export function publicSuffixRules(root: string): readonly string[] {
  const path = join(root, 'node_modules', 'tldts', 'dist', 'cjs', 'src', 'data', 'trie.js')
  const trie = createRequire(path)(path) as Trie
  const rules = rulesBelow(trie, trie.rulesRoot)
  const exceptions = rulesBelow(trie, trie.exceptionsRoot)
  return [...rules, ...exceptions.map((rule) => `!${rule}`)].filter((rule) => /^[!-~]+$/.test(rule))
}

function rulesBelow(trie: Trie, root: number): string[] {
  const { nodeFlags, edgeStart, edgeLength, edgeChild, labelText } = trie
  const starts = [0]
  for (const length of edgeLength) starts.push((starts.at(-1) ?? 0) + length)
  const rules: string[] = []
  const visit = (node: number, name: string): void => {
    if (nodeFlags[node] !== 0) rules.push(name)
    for (let edge = edgeStart[node] ?? 0; edge < (edgeStart[node + 1] ?? 0); edge += 1) {
      const label = labelText.slice(starts[edge], starts[edge + 1])
      visit(edgeChild[edge] ?? 0, name === '' ? label : `${label}.${name}`)
    }
  }
  visit(root, '')
  return rules
}

/**
 * The source text of the module. Rules of one label are omitted, because the default rule of the list has the same
 * effect: the last label of a name is its public suffix.
 */
export function publicSuffixModule(rules: readonly string[], version: string): string {
  const children = new Map<string, string[]>()
  for (const rule of rules) {
    const dot = rule.indexOf('.')
    if (dot === -1) continue
    const parent = rule.slice(dot + 1)
    children.set(parent, [...(children.get(parent) ?? []), rule.slice(0, dot)])
  }
  // Rules of the same top-level domain are adjacent, because they compress better.
  const backwards = (name: string): string => name.split('.').toReversed().join('.')
  const groups = [...children]
    .map(([parent, labels]) => [backwards(parent), `${parent} ${labels.toSorted().join(' ')}`] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, group]) => group)
  return `/*!
 * The Public Suffix List (https://publicsuffix.org), its private section included, in another form.
 * This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of the MPL was not distributed
 * with this file, You can obtain one at https://mozilla.org/MPL/2.0/.
 */
// Made by \`npm run public-suffixes\` from tldts ${version}. Do not edit.

/** Groups of rules, with a semicolon between them: a parent, and the labels that are rules in front of it. */
// prettier-ignore
export const PUBLIC_SUFFIX_LIST: string = '${groups.join(';')}'
`
}

if (process.argv[1]?.endsWith('public-suffixes.ts') === true) {
  const root = process.cwd()
  const manifest = readFileSync(join(root, 'node_modules', 'tldts', 'package.json'), 'utf8')
  const { version } = JSON.parse(manifest) as { version: string }
  writeFileSync(
    join(root, 'src', 'match', 'public-suffix-list.ts'),
    publicSuffixModule(publicSuffixRules(root), version),
  )
}
