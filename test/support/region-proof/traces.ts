import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** A form in which a value may be stored, and its bytes. */
export interface Form {
  readonly name: string
  readonly bytes: Buffer
}

/** A text in plain form and in the usual encodings. */
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

/**
 * The base64 form of a text at this offset in a group of three bytes, without the parts that depend on neighbouring
 * bytes.
 */
function base64Inside(bytes: Buffer, offset: number): string {
  const padded = Buffer.concat([Buffer.alloc(offset), bytes])
  const encoded = padded.toString('base64').replace(/=+$/, '')
  const first = offset === 0 ? 0 : offset + 1
  const last = padded.length % 3 === 0 ? encoded.length : encoded.length - 1
  return encoded.slice(first, last)
}

/** The names of the forms that these bytes contain. */
export function formsIn(bytes: Buffer, forms: readonly Form[]): string[] {
  return forms.filter((form) => bytes.includes(form.bytes)).map(({ name }) => name)
}

export interface Found {
  /** The number of searched bytes. */
  readonly bytes: number
  /** File and form of every match. */
  readonly hits: readonly string[]
}

/** Searches all files in a folder, even while they are written. */
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
