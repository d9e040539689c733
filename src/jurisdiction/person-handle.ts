import type { PersonId } from './person-id.ts'

/** Marks at compile time the jurisdiction of a value. It does not exist at run time. */
declare const home: unique symbol

/** A value that was read in the jurisdiction `J`. TypeScript refuses to pass it where another jurisdiction is expected. */
export type Pinned<J extends string, T> = T & { readonly [home]?: J }

/** The record of a person, as `get` returns it. */
export interface PersonRecord<J extends string, T> {
  readonly id: PersonId<J>
  /** The revision to pass to the next write. */
  readonly revision: number
  readonly value: Pinned<J, T>
}

/** A page of the identifiers of a jurisdiction. */
export interface PersonPage<J extends string> {
  readonly ids: readonly PersonId<J>[]
  /** The argument for the next page. `undefined` after the last page. */
  readonly next: string | undefined
}

/**
 * The records of one jurisdiction. It has clients only for the locations of this jurisdiction, so its methods cannot reach
 * another one. Errors contain no identifier of a person and no value.
 */
export interface PersonHandle<J extends string = string> {
  readonly jurisdiction: J
  /** Whether an identifier belongs to a person of this jurisdiction. */
  owns(id: string): id is PersonId<J>
  /**
   * Returns the record, or `undefined` if there is no such person here. Rejects with `UnavailableError` if this cannot be
   * determined.
   */
  get<T extends object>(id: PersonId<J>): Promise<PersonRecord<J, T> | undefined>
  /**
   * Writes a record, and resolves with its new revision.
   *
   * @param revision The revision that is replaced; 0 for a new person.
   * @throws RevisionConflict (as a rejection) if the record has changed since.
   */
  put<T extends object>(id: PersonId<J>, value: Pinned<J, T>, revision: number): Promise<number>
  /**
   * Removes a record. Its identifier and revision are kept for 90 days, so that a location that was down does not restore it.
   */
  delete(id: PersonId<J>, revision: number): Promise<void>
  /**
   * Returns the identifiers of all people of this jurisdiction, page by page in no order. A person who is added in the
   * meantime may be missing.
   */
  list(next?: string): Promise<PersonPage<J>>
}
