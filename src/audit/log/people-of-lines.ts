import type { AuditEvent } from '../event.ts'

/** A quotation mark inside a value is escaped, so only a member can match this. */
const MEMBER = '"person":"'
const PSEUDONYM = /^[A-Za-z0-9_-]{1,128}$/

/** Adds the pseudonyms of the people in an event. The line is that of the event; reading it again would take longer. */
export function addPeopleOf(event: AuditEvent, line: string, people: Set<string>): void {
  if (event.kind === 'list' || event.kind === 'action') for (const each of personsOf(line)) people.add(each)
  else if ('person' in event && typeof event.person === 'string' && PSEUDONYM.test(event.person))
    people.add(event.person)
}

/** The pseudonyms of the people in events, each once. The events are lines as written by `serialiseEvent`. */
export function peopleOfLines(lines: readonly string[]): readonly string[] {
  const people = new Set<string>()
  for (const line of lines) {
    if (line.includes('"persons":[')) for (const person of personsOf(line)) people.add(person)
    else addMembers(line, people)
  }
  return [...people]
}

function addMembers(line: string, people: Set<string>): void {
  for (let at = line.indexOf(MEMBER); at !== -1; at = line.indexOf(MEMBER, at)) {
    at += MEMBER.length
    const person = line.slice(at, line.indexOf('"', at))
    if (PSEUDONYM.test(person)) people.add(person)
  }
}

/** The people of an event about several persons: each is a pseudonym, or a list that begins with one. */
function personsOf(line: string): readonly string[] {
  try {
    const { person, persons } = JSON.parse(line) as { person?: unknown; persons?: unknown }
    const all = Array.isArray(persons) ? [...(persons as unknown[]), person] : [person]
    return all
      .map((each) => (Array.isArray(each) ? (each[0] as unknown) : each))
      .filter((each): each is string => typeof each === 'string')
  } catch {
    return []
  }
}
