/**
 * The identifier of a person whose data belongs to the jurisdiction `J`: `europe_4f0c…`. Where the data lies can be read from it
 * alone. It must say nothing else of the person: identifiers stand in keys, logs and URLs.
 */
export type PersonId<J extends string = string> = `${J}_${string}`

/** Behind the name of the jurisdiction. Without `@`, so that an e-mail address cannot be an identifier. */
const LOCAL_PART = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

/** The jurisdiction that an identifier names, of these; `undefined` where it names none of them or is no identifier. */
export function readPersonId(id: unknown, jurisdictions: ReadonlySet<string>): string | undefined {
  if (typeof id !== 'string') return undefined
  // The name of one jurisdiction is never the beginning of another's identifiers: `compileJurisdictions` refuses that.
  for (let end = id.indexOf('_'); end !== -1; end = id.indexOf('_', end + 1)) {
    const name = id.slice(0, end)
    if (jurisdictions.has(name)) return LOCAL_PART.test(id.slice(end + 1)) ? name : undefined
  }
  return undefined
}
