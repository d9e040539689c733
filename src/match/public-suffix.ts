import { PUBLIC_SUFFIX_LIST } from './public-suffix-list.ts'

/** What the list says: the labels that are rules in front of a parent, each between two spaces. */
interface Suffixes {
  readonly labelsBefore: ReadonlyMap<string, string>
  /** The most labels that a rule has. */
  readonly depth: number
}

/** Read when it is first asked, once in the life of a process: an app without wildcards never needs it. */
let suffixes: Suffixes | undefined

/**
 * The part of a canonical hostname below which everybody can register names: `com`, `co.uk`, `github.io`, `localhost`.
 * `undefined` for an IP address. By the Public Suffix List, its private section included, as the package carries it.
 */
export function publicSuffixOf(hostname: string): string | undefined {
  if (hostname === '' || hostname.startsWith('[') || IPV4.test(hostname)) return undefined
  const { labelsBefore, depth } = (suffixes ??= readSuffixes())
  let start = hostname.lastIndexOf('.') + 1
  let suffix = hostname.slice(start)
  let parent = suffix
  for (let labels = 2; labels <= depth && start > 1; labels += 1) {
    const end = start - 1
    start = hostname.lastIndexOf('.', end - 1) + 1
    const rules = labelsBefore.get(parent)
    if (rules !== undefined) {
      const label = hostname.slice(start, end)
      if (rules.includes(` !${label} `)) return parent
      if (rules.includes(` ${label} `) || rules.includes(' * ')) suffix = hostname.slice(start)
    }
    parent = hostname.slice(start)
  }
  return suffix
}

const IPV4 = /^\d+\.\d+\.\d+\.\d+$/

function readSuffixes(): Suffixes {
  const labelsBefore = new Map<string, string>()
  let depth = 1
  for (const group of PUBLIC_SUFFIX_LIST.split(';')) {
    const space = group.indexOf(' ')
    const parent = group.slice(0, space)
    labelsBefore.set(parent, `${group.slice(space)} `)
    depth = Math.max(depth, parent.split('.').length + 1)
  }
  return { labelsBefore, depth }
}
