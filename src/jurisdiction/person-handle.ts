import type { PersonId } from './person-id.ts'

/** Says at compile time to which jurisdiction a value belongs. It has no member at run time. */
declare const home: unique symbol

/** A value that was read in the jurisdiction `J`. Passing it where another jurisdiction is expected does not compile. */
export type Pinned<J extends string, T> = T & { readonly [home]?: J }

/** The record of a person, as `get` found it. */
export interface PersonRecord<J extends string, T> {
  readonly id: PersonId<J>
  /** The revision to name when it is written again. */
  readonly revision: number
  readonly value: Pinned<J, T>
}

/** A page of the ids of a jurisdiction. */
export interface PersonPage<J extends string> {
  readonly ids: readonly PersonId<J>[]
  /** What to ask the next page with; `undefined` after the last. */
  readonly next: string | undefined
}

/**
 * The records of one jurisdiction. It has clients only for the locations of this jurisdiction, so nothing done with it can reach
 * another. Errors contain no person and no value.
 */
export interface PersonHandle<J extends string = string> {
  readonly jurisdiction: J
  /** Whether this is the identifier of a person of this jurisdiction. */
  owns(id: string): id is PersonId<J>
  /** The record; `undefined` when there is no such person here. Rejects with `UnavailableError` when this cannot be determined. */
  get<T extends object>(id: PersonId<J>): Promise<PersonRecord<J, T> | undefined>
  /**
   * Writes a record, and resolves with its new revision.
   *
   * @param revision The one that it replaces; 0 for a new person.
   * @throws RevisionConflict (as a rejection) when another has been written since.
   */
  put<T extends object>(id: PersonId<J>, value: Pinned<J, T>, revision: number): Promise<number>
  /** Removes a record. Its id and revision remain for 90 days, so that a location that was away does not bring it back. */
  delete(id: PersonId<J>, revision: number): Promise<void>
  /** The ids of all people of this jurisdiction, page by page in no order. One who is added meanwhile may be left out. */
  list(next?: string): Promise<PersonPage<J>>
}
