/**
 * The identifier of a person whose data belongs to the jurisdiction `J`: `europe_4f0c…`. It shows where the data is stored.
 * It must reveal nothing else about the person, because identifiers appear in keys, logs and URLs.
 */
export type PersonId<J extends string = string> = `${J}_${string}`

/** The part after the name of the jurisdiction. `@` is not allowed, so an e-mail address cannot be an identifier. */
const LOCAL_PART = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

/** The jurisdiction that an identifier names. `undefined` if it names none of these, or is not an identifier. */
export function readPersonId(id: unknown, jurisdictions: ReadonlySet<string>): string | undefined {
  if (typeof id !== 'string') return undefined
  // No jurisdiction's name is a prefix of another one's identifiers: `compileJurisdictions` refuses that.
  for (let end = id.indexOf('_'); end !== -1; end = id.indexOf('_', end + 1)) {
    const name = id.slice(0, end)
    if (jurisdictions.has(name)) return LOCAL_PART.test(id.slice(end + 1)) ? name : undefined
  }
  return undefined
}
