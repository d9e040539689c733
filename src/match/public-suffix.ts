import { PUBLIC_SUFFIX_LIST } from './public-suffix-list.ts'

/** The rules of the Public Suffix List: for each parent, the labels that may precede it, each between two spaces. */
interface Suffixes {
  readonly labelsBefore: ReadonlyMap<string, string>
  /** The largest number of labels of a rule. */
  readonly depth: number
}

/** Parsed on first use, once per process, because apps without wildcards never need it. */
let suffixes: Suffixes | undefined

/**
 * Returns the part of a canonical hostname below which anyone can register names: `com`, `co.uk`, `github.io`, `localhost`.
 * `undefined` for an IP address. Uses the package's copy of the Public Suffix List, including its private section.
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
