import { Readable } from 'node:stream'
import { createGzip, gzipSync } from 'node:zlib'
import type { RequestListener } from 'node:http'
import { expect } from '@jest/globals'
import express, { type RequestHandler, type Response } from 'express'
import fc from 'fast-check'
import { auditAccess, createPolicySource, memoryAuditSink, memoryStore, type AuditEvent } from 'portcullis'
import { createPseudonyms } from '../../src/audit/event.ts'
import { APP, listening } from './protected-app.ts'

const KEY = Buffer.alloc(32, 7)
const pseudonymise = createPseudonyms(KEY)

interface Person {
  readonly id: number
  readonly email: string
  readonly name: string
  readonly note: string
  readonly phone: number
  readonly born: Date
  readonly tags: readonly string[]
  readonly address: { readonly city: string; readonly geo: { readonly place: string } }
}

const FIELDS = [
  'email',
  'name',
  'note',
  'phone',
  'born',
  'tags',
  'address.city',
  'address.geo.place',
] as const
type Field = (typeof FIELDS)[number]

/** No value of any person equals or contains another value. */
function personOf(id: number, odd: string): Person {
  return {
    id,
    email: `mail${id}-x@example.org`,
    name: `Name${id}ofPerson`,
    note: `note${id} ${odd} of person`,
    phone: 7_000_000_000 + id,
    born: new Date(Date.UTC(1900, 0, id * 3 + 1)),
    tags: [`tag${id}-of-person`],
    address: { city: `City${id}town`, geo: { place: `Place${id}geo` } },
  }
}

/** The text of each field in a response. */
const textOf: Readonly<Record<Field, (person: Person) => string>> = {
  email: ({ email }) => email,
  name: ({ name }) => name,
  note: ({ note }) => note,
  phone: ({ phone }) => String(phone),
  born: ({ born }) => born.toISOString(),
  tags: ({ tags }) => String(tags[0]),
  'address.city': ({ address }) => address.city,
  'address.geo.place': ({ address }) => address.geo.place,
}

/** Ways to read people. The result is sent. */
const WAYS: Readonly<Record<string, (people: readonly Person[]) => unknown>> = {
  email: (people) => people.map(({ email }) => email),
  'a template': (people) => people.map((person) => `${person.name} <${person.email}>`),
  spread: (people) => people.map((person) => ({ ...person })),
  rest: (people) => people.map(({ id: _id, note: _note, ...rest }) => rest),
  values: (people) => people.map((person) => Object.values(person)),
  entries: (people) => Object.fromEntries(people.flatMap((person) => Object.entries(person))),
  'JSON and back': (people) => JSON.parse(JSON.stringify(people)) as unknown,
  clone: (people) => structuredClone(people),
  sorted: (people) => people.toSorted((a, b) => a.name.localeCompare(b.name)).map(({ phone }) => phone),
  filtered: (people) => people.filter(({ tags }) => tags.length > 0).map(({ born }) => born),
  nested: (people) => people.map(({ address }) => address.geo),
  'a name alone': (people) => Object.keys(people[0] ?? {}),
  nothing: () => 'nothing of a person',
  whole: (people) => people,
  note: (people) => people.map(({ note }) => note),
}

/** Ways to bypass the audit: through the row itself, or a stored part of it. */
const BYPASSES: Readonly<Record<string, (person: Person, field: Field) => unknown>> = {
  'the value': (person, field) => textOf[field](person),
  'in a sentence': (person, field) => `see ${textOf[field](person)}, please`,
  'in a list': (person, field) => [[textOf[field](person)]],
  'in JSON in JSON': (person, field) => JSON.stringify({ value: textOf[field](person) }),
  'in a URL': (person, field) => `/x?value=${encodeURIComponent(textOf[field](person))}`,
  'in HTML': (person, field) =>
    textOf[field](person).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&#34;'),
}

/** Ways to answer. */
const ANSWERS: Readonly<Record<string, (res: Response, found: readonly unknown[]) => unknown>> = {
  json: (res, found) => res.json(found),
  send: (res, found) => res.send(found.map(plain).join(' | ')),
  end: (res, found) => res.end(found.map(plain).join('\n')),
  'end with bytes': (res, found) => res.end(Buffer.from(found.map(plain).join('\n'))),
  'several writes': (res, found) => {
    for (const each of found
      .map(plain)
      .join(' - ')
      .match(/[^]{1,7}/g) ?? [])
      res.write(each)
    return res.end()
  },
  pipe: (res, found) => Readable.from(found.map((each) => `${plain(each)}\n`)).pipe(res),
  gzip: (res, found) => res.setHeader('content-encoding', 'gzip').end(gzipSync(found.map(plain).join('\n'))),
  'a stream of gzip': (res, found) =>
    Readable.from(found.map((each) => `${plain(each)}\n`))
      .pipe(createGzip())
      .pipe(res.setHeader('content-encoding', 'gzip')),
  'a header': (res, found) =>
    res.setHeader('x-found', encodeURIComponent(found.map(plain).join(' '))).end('ok'),
}

function plain(found: unknown): string {
  return typeof found === 'string' ? found : JSON.stringify(found)
}

export const handlers = fc.record({
  odd: fc.constantFrom('"<&>"', "it's", 'ünï', 'a/b?c=d', '\\back'),
  count: fc.integer({ min: 1, max: 4 }),
  how: fc.constantFrom('person', 'rows', 'row by row'),
  ways: fc.array(fc.constantFrom(...Object.keys(WAYS)), { minLength: 1, maxLength: 3 }),
  bypass: fc.option(
    fc.record({
      who: fc.nat(3),
      field: fc.constantFrom(...FIELDS),
      by: fc.constantFrom(...Object.keys(BYPASSES)),
    }),
    { nil: undefined },
  ),
  answer: fc.constantFrom(...Object.keys(ANSWERS)),
})

type Generated = typeof handlers extends fc.Arbitrary<infer T> ? T : never

function handlerOf({ count, odd, how, ways, bypass, answer }: Generated): [Person[], RequestHandler] {
  const people = Array.from({ length: count }, (_, id) => personOf(id + 1, odd))
  const handler: RequestHandler = (req, res) => {
    const { audit } = req.portcullis
    const views = (how === 'rows'
      ? audit.rows('person', people)
      : people.map((person) =>
          how === 'person' ? audit.person(String(person.id), person) : audit.rows('person', person),
        )) as unknown as readonly Person[]
    const found = ways.map((way) => (WAYS[way] as (typeof WAYS)[string])(views))
    const past = bypass === undefined ? undefined : people[bypass.who]
    if (bypass !== undefined && past !== undefined)
      found.push((BYPASSES[bypass.by] as (typeof BYPASSES)[string])(past, bypass.field))
    ;(ANSWERS[answer] as (typeof ANSWERS)[string])(res, found)
  }
  return [people, handler]
}

/** All reads in the events, as `person field`. */
function readBy(events: readonly AuditEvent[]): Set<string> {
  const read = new Set<string>()
  for (const event of events) {
    if (event.kind === 'field') read.add(`${event.person} ${event.field}`)
    if (event.kind === 'list')
      for (const [person, ...reads] of event.persons)
        for (const [at, field] of event.fields.entries())
          if ((reads[at] ?? 0) > 0) read.add(`${person} ${field}`)
  }
  return read
}

/** What a caller received, also with the escapes of JSON, HTML and URLs removed once and twice. */
function plainOf(text: string): string {
  const once = (given: string): string => {
    const json = given.replaceAll(/\\(["\\/])/g, '$1')
    const html = given.replaceAll('&lt;', '<').replaceAll('&#34;', '"').replaceAll('&amp;', '&')
    const url = given.replaceAll(/(?:%[\dA-F]{2})+/g, (encoded) => decodeURIComponent(encoded))
    return [given, json, html, url].join('\n')
  }
  return once(once(text))
}

/**
 * Serves generated handlers and compares each response with the events: every value in a response has its event, and
 * exactly the values that bypassed the audit are detected. Returns the number of values.
 */
export async function serveGenerated(numRuns: number): Promise<{ values: number; bypasses: number }> {
  const served = { values: 0, bypasses: 0 }
  const sink = memoryAuditSink()
  const store = memoryStore([{ policy: { appId: APP, auditAccess: { mode: 'enforce' } } }])
  const audit = auditAccess({
    policies: createPolicySource({ store }),
    sink,
    pseudonymKey: KEY,
    leakGuard: 'report',
    models: { person: { person: 'id', open: ['id'] } },
  })
  let handler: RequestHandler = (_req, res) => void res.end()
  const app = express()
  app.set('env', 'test')
  app.use(audit as RequestHandler, (req, res, next) => handler(req, res, next))
  await listening(app as RequestListener, async (origin, server) => {
    // On a busy machine, the server must not close a connection while a request is in flight.
    server.keepAliveTimeout = 600_000
    await fc.assert(
      fc.asyncProperty(handlers, async (generated) => {
        sink.clear()
        const [people, made] = handlerOf(generated)
        handler = made
        const response = await fetch(origin, { headers: { 'x-app-id': APP } })
        const got = plainOf([...response.headers.values(), await response.text()].join('\n'))
        expect(response.status).toBe(200)
        const events = sink.events()
        const read = readBy(events)
        const leaked = new Set(
          events.flatMap((event) => (event.kind === 'leak' ? [`${event.person} ${event.field}`] : [])),
        )
        for (const person of people) {
          const pseudonym = pseudonymise('person', String(person.id))
          for (const field of FIELDS) {
            const key = `${pseudonym} ${field}`
            const isThere = got.includes(textOf[field](person))
            if (isThere) served.values += 1
            if (isThere && !read.has(key)) served.bypasses += 1
            expect([field, leaked.has(key)]).toEqual([field, isThere && !read.has(key)])
          }
        }
        expect(events.map((event) => JSON.stringify(event)).join('\n')).not.toContain('Name1ofPerson')
      }),
      { numRuns },
    )
  })
  return served
}
