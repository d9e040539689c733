/** Up to so many lines it is quicker to walk over them for each name than to sort them by name first. */
const FEW_LINES = 64

/**
 * The lines of a head by the names of their headers, in order of arrival, whatever the case of the names. `req.headers`
 * would drop or join them. The work for any number of names grows with the number of lines and names, and not with their
 * product: a long head is sorted by name once.
 */
export class HeaderLines {
  readonly #raw: readonly string[]
  #byName: Map<string, string[]> | undefined

  /** @param raw names and values in turn, as `req.rawHeaders` has them */
  constructor(raw: readonly string[]) {
    this.#raw = raw
  }

  /** Every line of the header of this lower-case name. */
  of(name: string): readonly string[] {
    if (this.#raw.length <= 2 * FEW_LINES) return linesOf(this.#raw, name)
    this.#byName ??= sorted(this.#raw)
    return this.#byName.get(name) ?? []
  }
}

function sorted(raw: readonly string[]): Map<string, string[]> {
  const byName = new Map<string, string[]>()
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] as string).toLowerCase()
    const lines = byName.get(name)
    if (lines === undefined) byName.set(name, [raw[index + 1] as string])
    else lines.push(raw[index + 1] as string)
  }
  return byName
}

function linesOf(raw: readonly string[], name: string): readonly string[] {
  const end = name.length - 1
  let lines: string[] | undefined
  for (let index = 0; index < raw.length; index += 2) {
    const candidate = raw[index] as string
    if (candidate.length !== name.length) continue
    // Most names of one length end in another letter, whatever its case: it is cheaper to look at that first.
    if ((candidate.charCodeAt(end) | 0x20) !== (name.charCodeAt(end) | 0x20)) continue
    if (candidate !== name && candidate.toLowerCase() !== name) continue
    if (lines === undefined) lines = [raw[index + 1] as string]
    else lines.push(raw[index + 1] as string)
  }
  return lines ?? []
}
