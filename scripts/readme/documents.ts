import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** npm scripts and jest run in the root of the repository. */
const repository = process.cwd()

/** A page of the documentation. */
export interface Document {
  /** The path relative to the repository, with slashes, such as `docs/guards/region-pin.md`. */
  readonly path: string
  readonly text: string
}

/** A fenced block of code. */
export interface Block {
  readonly document: string
  /** The line of the document at which the code begins, counted from 1. */
  readonly line: number
  readonly language: string
  readonly code: string
}

/** README, SECURITY, CONTRIBUTING, ARCHITECTURE and everything below `docs`. */
export function readDocuments(): readonly Document[] {
  const below = readdirSync(join(repository, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name.replaceAll('\\', '/')}`)
  return ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'ARCHITECTURE.md', ...below.toSorted()].map(
    (path) => ({ path, text: readFileSync(join(repository, path), 'utf8') }),
  )
}

export function blocksOf({ path, text }: Document): readonly Block[] {
  const blocks: Block[] = []
  let open: { readonly line: number; readonly language: string; readonly lines: string[] } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^```(\w*)/.exec(line)
    if (open === undefined) {
      if (fence !== null) open = { line: index + 2, language: fence[1] ?? '', lines: [] }
    } else if (fence === null) {
      open.lines.push(line)
    } else {
      blocks.push({
        document: path,
        line: open.line,
        language: open.language,
        code: `${open.lines.join('\n')}\n`,
      })
      open = undefined
    }
  }
  if (open !== undefined) throw new Error(`${path}:${open.line}: the block is not closed`)
  return blocks
}

/** The programs of a page: blocks whose first line names a file, such as `// app.mjs`. */
export function programsOf(document: Document): ReadonlyMap<string, string> {
  return new Map(
    blocksOf(document).flatMap(({ code }) => {
      const name = /^\/\/ ([\w-]+\.mjs)\n/.exec(code)?.[1]
      return name === undefined ? [] : [[name, code] as const]
    }),
  )
}

/** The anchors that code hosts generate for the headings. */
export function anchorsOf({ text }: Document): ReadonlySet<string> {
  const prose = text.replace(/^```.*?^```/gms, '')
  const anchors = new Set<string>()
  for (const [, heading = ''] of prose.matchAll(/^#{1,6} (.*)$/gm)) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    anchors.add(
      plain
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    )
  }
  return anchors
}

/** The targets of the links in the text, except in code. */
export function linksOf({ text }: Document): readonly string[] {
  const prose = text.replace(/^```.*?^```/gms, '').replace(/`[^`\n]*`/g, '`')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
}
