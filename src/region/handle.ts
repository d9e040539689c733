import { RevisionConflict, UnavailableError, UnreadableError, UsageError } from '../errors.ts'
import type { PersonHandle, PersonPage, PersonRecord, Pinned } from '../jurisdiction/person-handle.ts'
import { readPersonId, type PersonId } from '../jurisdiction/person-id.ts'
import { BUCKETS, MOVES } from './buckets.ts'
import type { Entry, State } from './entry.ts'
import type { Refused } from './location.ts'
import type { Territory } from './territory.ts'

/** The longest record, in characters of JSON. */
const MOST_CHARACTERS = 1_000_000

const PEOPLE = BUCKETS.filter((bucket) => bucket !== MOVES)

const SERVED: ReadonlySet<State> = new Set(['here', 'moving'])

/** Creates the handle of one jurisdiction. It gets only the locations of that jurisdiction. */
export function createHandle<J extends string>(
  jurisdiction: J,
  territory: Territory,
  nextStamp: () => string,
): PersonHandle<J> {
  const own = new Set<string>([jurisdiction])
  const check = (id: unknown): void => {
    if (readPersonId(id, own) !== undefined) return
    throw new UsageError(
      `the id does not belong to a person in \`${jurisdiction}\`: those ids begin with \`${jurisdiction}_\``,
    )
  }

  async function write(
    id: PersonId<J>,
    revision: number,
    to: 'here' | 'gone',
    value: string,
  ): Promise<number> {
    const changed = await territory.change({
      id,
      from: revision === 0 ? ['absent', 'gone'] : ['here'],
      revision: revision === 0 ? undefined : revision,
      stamp: nextStamp(),
      to,
      move: '',
      value,
    })
    if (changed.written) return changed.revision
    throw refusal(changed, revision)
  }

  return Object.freeze({
    jurisdiction,
    owns: (id: string): id is PersonId<J> => readPersonId(id, own) !== undefined,
    async get<T extends object>(id: PersonId<J>): Promise<PersonRecord<J, T> | undefined> {
      check(id)
      const entry = await territory.read(id)
      if (entry?.state === 'arriving') throw onItsWay()
      if (entry === undefined || !SERVED.has(entry.state)) return undefined
      return { id, revision: entry.revision, value: parsed<J, T>(entry) }
    },
    async put<T extends object>(id: PersonId<J>, value: Pinned<J, T>, revision: number): Promise<number> {
      check(id)
      checkRevision(revision, 0)
      return write(id, revision, 'here', serialised(value))
    },
    async delete(id: PersonId<J>, revision: number): Promise<void> {
      check(id)
      checkRevision(revision, 1)
      await write(id, revision, 'gone', '')
    },
    list: (next?: string) => page<J>(territory, next),
  })
}

function refusal({ revision, state }: Refused, expected: number): Error {
  if (state === 'moving' || state === 'arriving') return onItsWay()
  return new RevisionConflict('', expected, state === 'here' ? revision : 0, 'person')
}

function onItsWay(): UnavailableError {
  return new UnavailableError('the record is being moved to another jurisdiction')
}

function checkRevision(revision: unknown, least: number): void {
  if (Number.isSafeInteger(revision) && (revision as number) >= least) return
  throw new UsageError(
    `a revision must be a whole number of at least ${least}: pass the revision of the record that \`get\` returned`,
  )
}

function serialised(value: unknown): string {
  if (typeof value !== 'object' || value === null)
    throw new UsageError('the value of a record must be an object')
  const json = JSON.stringify(value) as string | undefined
  if (json === undefined)
    throw new UsageError('the value of a record must be an object that can be written as JSON')
  if (json.length > MOST_CHARACTERS)
    throw new UsageError(
      `a record may have at most ${MOST_CHARACTERS} characters of JSON; this one has ${json.length}`,
    )
  return json
}

function parsed<J extends string, T>({ value }: Entry): Pinned<J, T> {
  try {
    return JSON.parse(value) as Pinned<J, T>
  } catch {
    throw new UnreadableError('the stored record of a person is damaged')
  }
}

/** `next` is the bucket and the cursor in it. */
async function page<J extends string>(territory: Territory, next = '0 0'): Promise<PersonPage<J>> {
  const [, bucket = '', cursor = ''] = /^(\d{1,2}) (\d{1,20})$/.exec(next) ?? []
  const index = Number(bucket)
  if (bucket === '' || index >= PEOPLE.length)
    throw new UsageError('`next` must be the `next` of the previous page')
  const [following, ids] = await territory.ids(String(index), cursor)
  const entries = await Promise.all(ids.map((id) => territory.read(id)))
  const present = ids.filter((_, at) => SERVED.has(entries[at]?.state ?? 'gone'))
  const after = following === '0' ? [index + 1, '0'] : [index, following]
  return {
    ids: present as PersonId<J>[],
    next: Number(after[0]) >= PEOPLE.length ? undefined : after.join(' '),
  }
}
