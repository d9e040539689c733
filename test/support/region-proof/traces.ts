import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** A form in which a value may lie somewhere, and its bytes. */
export interface Form {
  readonly name: string
  readonly bytes: Buffer
}

/** A text as it is, and as it is after the usual ways to write it otherwise. */
export function formsOf(text: string): readonly Form[] {
  const bytes = Buffer.from(text)
  const escaped = text.replaceAll(
    /[^ -~]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  const percent = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
  const texts: [string, string][] = [
    ['plain', text],
    ['escaped', escaped],
    ['as MONITOR prints it', asMonitorPrints(bytes)],
    ['hexadecimal', bytes.toString('hex')],
    ['hexadecimal, capitals', bytes.toString('hex').toUpperCase()],
    ['reversed', [...text].toReversed().join('')],
    ['URL', encodeURIComponent(text)],
    ['percent', percent],
    ['percent, capitals', percent.toUpperCase()],
    ...[0, 1, 2].flatMap((offset): [string, string][] => {
      const inner = base64Inside(bytes, offset)
      return [
        [`base64 at ${offset}`, inner],
        [`base64url at ${offset}`, inner.replaceAll('+', '-').replaceAll('/', '_')],
      ]
    }),
  ]
  const forms = new Map(texts.map(([name, form]) => [form, name]))
  return [...forms].map(([form, name]) => ({ name, bytes: Buffer.from(form) }))
}

function asMonitorPrints(bytes: Buffer): string {
  return [...bytes]
    .map((byte) => (byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`))
    .join('')
}

/** What base64 makes of a text that begins at this place of a group of three bytes, without what depends on its neighbours. */
function base64Inside(bytes: Buffer, offset: number): string {
  const padded = Buffer.concat([Buffer.alloc(offset), bytes])
  const encoded = padded.toString('base64').replace(/=+$/, '')
  const first = offset === 0 ? 0 : offset + 1
  const last = padded.length % 3 === 0 ? encoded.length : encoded.length - 1
  return encoded.slice(first, last)
}

/** The names of the forms that these bytes hold. */
export function formsIn(bytes: Buffer, forms: readonly Form[]): string[] {
  return forms.filter((form) => bytes.includes(form.bytes)).map(({ name }) => name)
}

export interface Found {
  /** How many bytes were searched. */
  readonly bytes: number
  /** File and form of everything that was found. */
  readonly hits: readonly string[]
}

/** Searches all files below a folder, and may do so while they are written. */
export async function searchFolder(folder: string, forms: readonly Form[]): Promise<Found> {
  let bytes = 0
  const hits = new Set<string>()
  for (const name of await readdir(folder, { recursive: true })) {
    const path = join(folder, name)
    const info = await stat(path).catch(() => undefined)
    if (info?.isFile() !== true) continue
    bytes += info.size
    for await (const form of formsOfFile(path, forms)) hits.add(`${name}: ${form}`)
  }
  return { bytes, hits: [...hits] }
}

async function* formsOfFile(path: string, forms: readonly Form[]): AsyncGenerator<string> {
  const longest = Math.max(...forms.map((form) => form.bytes.length))
  let rest = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: 4_194_304 })) {
    const window = Buffer.concat([rest, chunk as Buffer])
    yield* formsIn(window, forms)
    rest = Buffer.from(window.subarray(-longest))
  }
}
