import { differencesOf, type PolicyChange } from '../policy/diff.ts'
import type { Policy } from '../policy/policy.ts'
import type { Change } from './contract.ts'

/** How many entries of a change are shown. */
const MOST_SHOWN = 20

/** The last result for each policy. One answer needs it more than once, and a long list takes time. */
const described = new WeakMap<Policy, { readonly before: Policy | undefined; readonly changes: Change[] }>()

/** Describes the changes from one policy to another. `undefined` means that there was no app. */
export function changesInWords(before: Policy | undefined, after: Policy): Change[] {
  const last = described.get(after)
  if (last !== undefined && last.before === before) return last.changes
  const changes = describe(before, after)
  described.set(after, { before, changes })
  return changes
}

function describe(before: Policy | undefined, after: Policy): Change[] {
  return differencesOf(before, after)
    .filter(({ path }) => path !== 'appId')
    .map(eachEntry)
    .map((change) => ({
      path: change.path,
      sentence: sentenceOf(change),
      added: change.added.slice(0, MOST_SHOWN).map(shown),
      removed: change.removed.slice(0, MOST_SHOWN).map(shown),
    }))
}

/** Splits the change of a whole list into its entries. */
function eachEntry(change: PolicyChange): PolicyChange {
  return { ...change, added: change.added.flat(), removed: change.removed.flat() }
}

const NOUNS: Readonly<Record<string, readonly [one: string, many: string]>> = {
  ranges: ['range', 'ranges'],
  deny: ['denied range', 'denied ranges'],
  lists: ['named list', 'named lists'],
  denyLists: ['denied named list', 'denied named lists'],
  domains: ['origin', 'origins'],
  urls: ['return URL', 'return URLs'],
  methods: ['method', 'methods'],
  headers: ['header', 'headers'],
  exposedHeaders: ['exposed header', 'exposed headers'],
  expect: ['expectation', 'expectations'],
}

function sentenceOf({ path, added, removed }: PolicyChange): string {
  const [section = '', member = ''] = path.split('.')
  const noun = NOUNS[member === '' ? section : member]
  if (noun !== undefined) {
    const count = (entries: readonly unknown[]): string =>
      `${entries.length.toLocaleString('en')} ${entries.length === 1 ? noun[0] : noun[1]}`
    const parts = [
      ...(added.length > 0 ? [`adds ${count(added)}`] : []),
      ...(removed.length > 0 ? [`removes ${count(removed)}`] : []),
    ]
    return parts.join(', ')
  }
  const [from, to] = [removed[0], added[0]]
  if (member === '') {
    if (section === 'name') return to === undefined ? 'clears the name' : `names the app ${shown(to)}`
    if (from === undefined) return `sets up this protection in mode ${modeOf(to)}`
    if (to === undefined) return 'removes this protection: a mounted guard then refuses every request'
  }
  if (member === 'mode') return `changes the mode from ${shown(from)} to ${shown(to)}`
  if (from === undefined) return `sets ${member} to ${shown(to)}`
  if (to === undefined) return `clears ${member} (it was ${shown(from)})`
  return `changes ${member} from ${shown(from)} to ${shown(to)}`
}

function modeOf(section: unknown): string {
  const { mode } = Object(section) as { mode?: unknown }
  return typeof mode === 'string' ? mode : 'unknown'
}

function shown(value: unknown): string {
  if (typeof value === 'string') return value
  const { exact, name } = Object(value) as { exact?: unknown; name?: unknown }
  if (typeof exact === 'string') return `exactly ${exact}`
  return typeof name === 'string' ? name : JSON.stringify(value)
}
