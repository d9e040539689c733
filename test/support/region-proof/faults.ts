import { UnavailableError, type PersonHandle } from '../../../src/region/index.ts'
import type { Application, Jurisdiction, Person, Surroundings } from './application.ts'

/** A routing fault, of a kind that applications have had. */
export interface Fault {
  readonly name: string
  plant(app: Application, around: Surroundings): void
}

const ELSEWHERE: Jurisdiction = 'world'

const text = (person: Person): string => JSON.stringify(person)

/** A fault that stores a new person in the wrong place. */
function placing(
  name: string,
  where: (
    person: Person,
    rightly: (countries: unknown) => Jurisdiction | undefined,
    around: Surroundings,
  ) => Jurisdiction | undefined,
): Fault {
  return {
    name,
    plant(app, around) {
      const rightly = (countries: unknown): Jurisdiction | undefined =>
        around.regions.belonging({ countries })?.jurisdiction
      app.belonging = (person) => where(person, rightly, around) ?? ELSEWHERE
    },
  }
}

/** A fault that writes something outside the store at sign-up. */
function atSignUp(name: string, act: (person: Person, id: string, around: Surroundings) => void): Fault {
  return {
    name,
    plant(app, around) {
      const signUp = app.signUp.bind(app)
      app.signUp = async (person, local) => {
        act(person, `${app.belonging(person)}_${local}`, around)
        return signUp(person, local)
      }
    },
  }
}

/** A fault that does something outside the store when a person is read. */
function atReading(
  name: string,
  act: (id: string, found: Person | undefined, around: Surroundings) => void,
): Fault {
  return {
    name,
    plant(app, around) {
      const read = app.read.bind(app)
      app.read = async (id) => {
        const found = await read(id)
        act(id, found?.value, around)
        return found
      }
    },
  }
}

/** A fault that writes a changed record to the wrong place. */
function changing(name: string, where: (person: Person) => Jurisdiction): Fault {
  return {
    name,
    plant(app, around) {
      const write = app.write.bind(app)
      app.write = async (id, person, revision) => {
        const at = where(person)
        if (revision === 0 || id.startsWith(at)) return write(id, person, revision)
        const handle: PersonHandle<Jurisdiction> = around.store.in(at)
        return handle.put(`${at}_${id}.${revision}`, person, 0)
      }
    },
  }
}

/** A fault in handling writes that the store refuses because no location is reachable. */
function whenRefused(
  name: string,
  act: (id: string, person: Person, around: Surroundings) => Promise<unknown>,
): Fault {
  return {
    name,
    plant(app, around) {
      const write = app.write.bind(app)
      app.write = async (id, person, revision) =>
        write(id, person, revision).catch(async (error: unknown) => {
          if (error instanceof UnavailableError) await act(id, person, around)
          throw error
        })
    },
  }
}

function dallas({ clients }: Surroundings, key: string, value: string): void {
  void clients.dallas.set(key, value).catch(() => undefined)
}

export const FAULTS: readonly Fault[] = [
  placing('the address decides', ({ addressCountry }, rightly) => rightly(addressCountry)),
  placing('the language decides', ({ language }) => (language.startsWith('en') ? 'world' : 'europe')),
  placing('the first declared country decides', ({ countries }, rightly) => rightly(countries[0])),
  placing('the last declared country decides', ({ countries }, rightly) => rightly(countries.at(-1))),
  placing('several countries count as none', ({ countries }, rightly) =>
    countries.length > 1 ? undefined : rightly(countries),
  ),
  placing('one country is forgotten', ({ countries }, rightly) =>
    countries.includes('IT') ? undefined : rightly(countries),
  ),
  placing('everybody belongs to the default', () => undefined),
  placing('the ending of the e-mail address decides', ({ email }) =>
    email.endsWith('.com') ? 'world' : 'europe',
  ),
  placing('London counts as outside, and its people with it', ({ countries }, rightly) =>
    countries.includes('GB') ? undefined : rightly(countries),
  ),
  placing('a least loaded place is taken', ({ name }, rightly, around) =>
    name.length % 2 === 0 ? undefined : rightly(around.regions.names),
  ),
  atSignUp('the limit of sign-ups counts e-mail addresses', ({ email }, _id, around) =>
    dallas(around, `limit:${email}`, '1'),
  ),
  atSignUp('one index of e-mail addresses is for everybody', ({ email }, id, around) =>
    dallas(around, 'index', `${email} ${id}`),
  ),
  atSignUp('one directory has all ids', (_person, id, around) => dallas(around, 'directory', id)),
  atSignUp('a line of the log has the name', ({ name }, _id, around) => around.log(`welcome ${name}`)),
  atSignUp('a line of the log has the record in base64', (person, _id, around) =>
    around.log(`x${Buffer.from(text(person)).toString('base64')}`),
  ),
  atSignUp('a line of the log has a URL with the name', ({ name }, _id, around) =>
    around.log(`GET /?q=${encodeURIComponent(name)}`),
  ),
  atSignUp('a backup is hexadecimal', (person, _id, around) =>
    dallas(around, 'backup', Buffer.from(text(person)).toString('hex')),
  ),
  atSignUp('an index has names from the end', ({ name }, _id, around) =>
    dallas(around, 'suffix', [...name].toReversed().join('')),
  ),
  atSignUp('a key has the name in capitals of hexadecimal', ({ name }, _id, around) =>
    dallas(around, Buffer.from(name).toString('hex').toUpperCase(), '1'),
  ),
  atSignUp('a message queue gets every new person', (person, _id, around) => {
    void around.clients.dallas.publish('people', text(person)).catch(() => undefined)
  }),
  atReading('every read is cached', (_id, found, around) => {
    if (found !== undefined) dallas(around, 'cache', text(found))
  }),
  atReading('a cache has the id as its key', (id, _found, around) => dallas(around, `seen:${id}`, '1')),
  atReading('a look at who is there asks for every id', (id, _found, around) => {
    void around.clients.dallas.exists(`online:${id}`).catch(() => undefined)
  }),
  atReading('a script gets the record as an argument', (_id, found, around) => {
    if (found !== undefined)
      void around.clients.dallas.eval('return 1', 0, text(found)).catch(() => undefined)
  }),
  whenRefused('what cannot be stored in Europe is stored as one of the world', (id, person, around) =>
    around.store.in('world').put(`world_${id}`, person, 0),
  ),
  whenRefused('what cannot be stored in Europe waits in a queue', (_id, person, around) =>
    around.clients.dallas.rpush('queue', text(person)),
  ),
  whenRefused('the error report has the record', async (_id, person, around) =>
    around.log(`refused ${text(person)}`),
  ),
  whenRefused('the error report has the id', async (id, _person, around) => around.log(`refused ${id}`)),
  changing('the id is not looked at when a record is changed', () => ELSEWHERE),
  changing('a header of the proxy decides where a record is changed', ({ addressCountry }) =>
    addressCountry === 'US' ? 'world' : 'europe',
  ),
  {
    name: 'a change is written to every jurisdiction',
    plant(app, around) {
      const write = app.write.bind(app)
      app.write = async (id, person, revision) => {
        await around.store
          .in('world')
          .put(`world_${id}.${revision}`, person, 0)
          .catch(() => undefined)
        return write(id, person, revision)
      }
    },
  },
  {
    name: 'a person who has moved is still written to the old home',
    plant(app, around) {
      const [move, write] = [app.move.bind(app), app.write.bind(app)]
      const before = new Map<string, string>()
      app.move = async (id, to) => {
        const now = await move(id, to)
        before.set(now, id)
        return now
      }
      app.write = async (id, person, revision) => {
        const old = before.get(id)
        if (old !== undefined)
          await around.clients.dallas.hset('old', old, text(person)).catch(() => undefined)
        return write(id, person, revision)
      }
    },
  },
  {
    name: 'the old home is told of the new id',
    plant(app, around) {
      const move = app.move.bind(app)
      app.move = async (id, to) => {
        const now = await move(id, to)
        dallas(around, `forward:${id}`, now)
        return now
      }
    },
  },
  {
    name: 'one person in twenty goes the wrong way',
    plant(app) {
      const belonging = app.belonging.bind(app)
      let count = 0
      app.belonging = (person) => ((count += 1) % 20 === 0 ? ELSEWHERE : belonging(person))
    },
  },
]
