/** A change of one member of a policy: entries of a list, or a value. */
export interface DraftEdit {
  /** `ipWhitelist.ranges`, or `name`. */
  readonly path: string
  /** The entries that a list gains and loses. Left out: the member is no list. */
  readonly add?: readonly unknown[] | undefined
  readonly remove?: readonly unknown[] | undefined
  /** The replaced value and the new one. Left out: there is none. */
  readonly before?: unknown
  readonly after?: unknown
}

type Members = Readonly<Record<string, unknown>>

/** The edits that make one policy the other. The order of a list has no meaning. */
export function editsBetween(before: object, after: object, place = ''): DraftEdit[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names].flatMap((name): DraftEdit[] => {
    const path = `${place}${name}`
    const [old, young] = [own(before, name), own(after, name)]
    if (old === young) return []
    if (Array.isArray(young) && (old === undefined || Array.isArray(old))) {
      const [remove, add] = [without(old ?? [], young), without(young, old ?? [])]
      return old !== undefined && remove.length + add.length === 0 ? [] : [{ path, add, remove }]
    }
    if (place === '' && isMembers(old) && isMembers(young)) return editsBetween(old, young, `${name}.`)
    return [{ path, before: old, after: young }]
  })
}

/** The policy after the edits. An entry that a list already has is not added again. */
export function withEdits<Document extends object>(policy: Document, edits: readonly DraftEdit[]): Document {
  return edits.reduce<Members>(
    (members, edit) => replaced(members, edit.path.split('.'), edit),
    policy as Members,
  ) as Document
}

/** The value of a member: of `ipWhitelist.mode`. */
export const valueAt = (policy: object, path: string): unknown =>
  path.split('.').reduce<unknown>((value, name) => (isMembers(value) ? own(value, name) : undefined), policy)

function replaced(members: Members, [name = '', ...rest]: readonly string[], edit: DraftEdit): Members {
  const old = own(members, name)
  const value = rest.length === 0 ? edited(old, edit) : replaced(isMembers(old) ? old : {}, rest, edit)
  const copy = { ...members, [name]: value }
  if (value === undefined) delete copy[name]
  return copy
}

function edited(value: unknown, { add, remove, after }: DraftEdit): unknown {
  if (add === undefined && remove === undefined) return after
  const kept = without(Array.isArray(value) ? value : [], remove ?? [])
  return [...kept, ...without(add ?? [], kept)]
}

/** The entries of a list that another list does not have. */
function without(entries: readonly unknown[], others: readonly unknown[]): unknown[] {
  const gone = new Set(others.map(keyOf))
  return entries.filter((entry) => !gone.has(keyOf(entry)))
}

const keyOf = (entry: unknown): string => (typeof entry === 'string' ? entry : JSON.stringify(entry))

const own = (members: object, name: string): unknown =>
  Object.hasOwn(members, name) ? (members as Members)[name] : undefined

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
