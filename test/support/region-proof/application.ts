import type { Redis } from 'ioredis'
import { UnavailableError, type PersonHandle, type Regions } from '../../../src/region/index.ts'
import type { PlaceName, World, WorldStore } from '../region.ts'

/** A person's data at sign-up, and the facts of the request. */
export interface Person {
  readonly countries: readonly string[]
  readonly language: string
  readonly address: string
  readonly addressCountry: string
  readonly email: string
  readonly name: string
}

export type Jurisdiction = 'europe' | 'world'

/** What an application can access. Only faults use more than the store. */
export interface Surroundings {
  readonly store: WorldStore
  readonly regions: Regions<World>
  readonly clients: Readonly<Record<PlaceName, Redis>>
  /** Logs a line in Dallas. */
  log(line: string): void
}

/** A small application that stores people in their jurisdiction. A fault replaces one of its methods. */
export class Application {
  protected readonly around: Surroundings

  constructor(around: Surroundings) {
    this.around = around
  }

  /** The jurisdiction of a new person. */
  belonging(person: Person): Jurisdiction {
    const found = this.around.regions.belonging({ countries: person.countries })
    if (found === undefined) throw new Error('the country is not known')
    return found.jurisdiction
  }

  handleOf(id: string): PersonHandle<Jurisdiction> {
    const found = this.around.regions.belonging({ id })
    if (found === undefined) throw new Error('the id names no jurisdiction')
    return this.around.store.for({ portcullis: { region: found } })
  }

  async signUp(person: Person, local: string): Promise<string> {
    const id = `${this.belonging(person)}_${local}`
    await this.write(id, person, 0)
    return id
  }

  async read(id: string): Promise<{ readonly value: Person; readonly revision: number } | undefined> {
    try {
      return await this.handleOf(id).get<Person>(id as `europe_${string}`)
    } catch (error) {
      this.report(error, id, undefined)
      throw error
    }
  }

  async write(id: string, person: Person, revision: number): Promise<number> {
    try {
      return await this.handleOf(id).put(id as `europe_${string}`, person, revision)
    } catch (error) {
      this.report(error, id, person)
      throw error
    }
  }

  async remove(id: string, revision: number): Promise<void> {
    await this.handleOf(id).delete(id as `europe_${string}`, revision)
  }

  async move(id: string, to: Jurisdiction): Promise<string> {
    return this.around.store.move(id as `europe_${string}`, to)
  }

  /** Writes an error report, which is read in Dallas. */
  report(error: unknown, _id: string, _person: Person | undefined): void {
    const code =
      error instanceof UnavailableError ? error.message : String((error as { code?: unknown }).code)
    this.around.log(`error ${code}`)
  }
}
