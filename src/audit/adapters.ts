import { UsageError } from '../errors.ts'
import type { AuditSession } from './session-contract.ts'

/** Seals rows. Pass the handler that `auditAccess` returns, created with the option `models`. */
export type RowSealer = Pick<AuditSession, 'rows'>

/** Maps the names of database tables to the names of their models. */
export type ModelNames = Readonly<Record<string, string>>

/** The operations of Prisma that return rows. The others count, change or aggregate. */
const PRISMA_ROWS =
  /^(?:find(?:Many|(?:Unique|First)(?:OrThrow)?)|create|update|upsert|delete|(?:create|update)ManyAndReturn)$/

/** An extension of Prisma, for `$extends`. */
export interface PrismaExtension {
  readonly name: string
  readonly query: {
    readonly $allModels: {
      $allOperations<Args, Result>(operation: PrismaOperation<Args, Result>): Promise<Result>
    }
  }
}

interface PrismaOperation<Args, Result> {
  readonly model?: string | undefined
  readonly operation: string
  readonly args: Args
  query(args: Args): Promise<Result>
}

/**
 * An extension of Prisma that seals the rows of these models: `prisma.$extends(sealPrisma(audit, { User: 'user' }))`. Selected rows
 * must include the field that names their person. Results of `groupBy`, `aggregate` and raw queries are returned unchanged.
 */
export function sealPrisma(audit: RowSealer, models: ModelNames): PrismaExtension {
  return {
    name: 'portcullis',
    query: {
      $allModels: {
        async $allOperations<Args, Result>({
          model = '',
          operation,
          args,
          query,
        }: PrismaOperation<Args, Result>): Promise<Result> {
          const result = await query(args)
          const name = modelOf(models, model)
          if (name === undefined || !PRISMA_ROWS.test(operation)) return result
          return audit.rows(name, result as object) as Result
        },
      },
    },
  }
}

/** The part of Knex that is used. */
interface KnexLike {
  // oxlint-disable-next-line typescript/no-explicit-any -- the builder of Knex has no public type for this
  on(event: 'start', listener: (builder: any) => void): unknown
  readonly client: {
    readonly config: { postProcessResponse?: ((response: unknown, context: unknown) => unknown) | undefined }
  }
}

interface KnexBuilder {
  readonly _method?: string
  readonly _single?: { readonly table?: unknown }
  readonly _statements?: readonly {
    readonly grouping?: string
    readonly joinType?: string
    readonly type?: string
    readonly method?: string
    readonly table?: unknown
  }[]
  queryContext(): object | undefined
  queryContext(context: object): unknown
}

const MODEL = Symbol('portcullis.model')
/** Aggregates of many rows. A minimum or maximum is the value of a single row. */
const SUMS: ReadonlySet<unknown> = new Set(['count', 'sum', 'avg'])

/**
 * Seals the rows that this Knex instance reads from these tables, also in transactions: `sealKnex(knex, audit, { users: 'user'
 * })`. A query that joins one of these tables must name the model of its rows: `.queryContext({ model: 'user' })`. Counts, sums
 * and averages are returned unchanged. Results of `knex.raw` are not sealed.
 */
export function sealKnex(knex: KnexLike, audit: RowSealer, tables: ModelNames): void {
  knex.on('start', (builder: Partial<KnexBuilder>) => {
    const model =
      typeof builder.queryContext === 'function' ? knexModel(builder as KnexBuilder, tables) : undefined
    if (model !== undefined) builder.queryContext?.({ ...builder.queryContext?.(), [MODEL]: model })
  })
  const { config } = knex.client
  const before = config.postProcessResponse
  config.postProcessResponse = (response, context) => {
    const processed = before === undefined ? response : before(response, context)
    const model = (context as { [MODEL]?: string } | undefined)?.[MODEL]
    return model === undefined ? processed : sealKnexResponse(audit, model, processed)
  }
}

function knexModel(builder: KnexBuilder, tables: ModelNames): string | undefined {
  const { _single: { table } = {}, _statements: statements = [], _method: method } = builder
  const context: { model?: unknown } | undefined = builder.queryContext()
  if (typeof context?.model === 'string') return context.model
  const joined = statements.filter(({ joinType }) => joinType !== undefined)
  const models = [table, ...joined.map((join) => join.table)].map((each) => modelOf(tables, tableOf(each)))
  const model = models.find((each) => each !== undefined)
  if (model === undefined) return undefined
  const columns = statements.filter(({ grouping }) => grouping === 'columns')
  if (columns.length > 0 && columns.every(({ type, method: sum }) => type === 'aggregate' && SUMS.has(sum)))
    return undefined
  if (method === 'pluck')
    throw new UsageError(
      `pluck() returns values without their rows, but \`${tableOf(table)}\` is sealed: select the rows`,
    )
  if (joined.length > 0)
    throw new UsageError(
      `the query joins sealed tables: name the model of its rows with .queryContext({ model: '${model}' })`,
    )
  return model
}

/** `users`, from `users`, `users as u`, `public.users` or `{ u: 'users' }`. */
function tableOf(table: unknown): string {
  const name = typeof table === 'object' && table !== null ? (Object.values(table) as unknown[])[0] : table
  return typeof name === 'string'
    ? (name
        .split(/\sas\s/i)[0]
        ?.trim()
        .split('.')
        .at(-1) ?? '')
    : ''
}

function sealKnexResponse(audit: RowSealer, model: string, response: unknown): unknown {
  // A number of changed rows, or the ids of new rows, is not sealed.
  const seal = (row: unknown): unknown => (typeof row === 'object' ? audit.rows(model, row) : row)
  return Array.isArray(response) ? sealAll(response, seal) : seal(response)
}

function sealAll(rows: readonly unknown[], seal: (row: unknown) => unknown): unknown[] {
  return rows.map((row) => seal(row))
}

/** The part of `pg` that is used: a `Pool` or a `Client`. */
interface PgLike<Config> {
  query(text: Config, values?: unknown[]): Promise<{ rows: object[] }>
}

export interface PgQuery<Client extends PgLike<never>> {
  query(
    text: string | { readonly text: string; readonly values?: unknown[] },
    values?: unknown[],
  ): Promise<Awaited<ReturnType<Client['query']>>>
}

/**
 * A `query` function whose rows are sealed: `sealPg(pool, audit, 'user').query('select id, email from users')`. It takes the
 * arguments of `query` in `pg` and resolves with its result. Rows as arrays are refused, because they have no field names.
 */
export function sealPg<Client extends PgLike<never>>(
  client: Client,
  audit: RowSealer,
  model: string,
): PgQuery<Client> {
  return {
    async query(text, values): Promise<Awaited<ReturnType<Client['query']>>> {
      const result = await client.query(text as never, values)
      if (result.rows.some((row) => Array.isArray(row)))
        throw new UsageError('rows returned as arrays have no field names: leave out `rowMode`')
      return { ...result, rows: audit.rows(model, result.rows) } as Awaited<ReturnType<Client['query']>>
    },
  }
}

/** The part of a schema of Mongoose that is used. */
interface SchemaLike {
  post(event: 'init', listener: (document: never) => void): unknown
}

/**
 * A plugin of Mongoose that seals the documents of a schema when they are read from the database:
 * `schema.plugin(sealMongoose(audit, 'user'))`. Every access to a value of a document is recorded: a property, `get`, `toObject`,
 * `toJSON`, printing. Reads by Mongoose itself, to validate or save, are recorded too. Documents stay writable. Results of `lean()`
 * and aggregations are not sealed: pass them through `audit.rows`.
 */
export function sealMongoose(audit: RowSealer, model: string): (schema: SchemaLike) => void {
  return (schema) => {
    schema.post('init', ({ _doc: stored }: { _doc: Record<string, unknown> }) => {
      const values = withoutAccessors(stored)
      sealInPlace(stored, values, audit.rows(model, values))
    })
  }
}

/** Moves the values to where the view reads them. */
function withoutAccessors(document: Record<string, unknown>): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(document))
    values[name] = isNested(value) ? withoutAccessors(value) : value
  return values
}

function sealInPlace(
  document: Record<string, unknown>,
  values: Record<string, unknown>,
  view: Readonly<Record<string, unknown>>,
): void {
  for (const name of Object.keys(values)) {
    const enumerable = Object.prototype.propertyIsEnumerable.call(view, name)
    const nested = document[name]
    if (enumerable && isNested(nested)) {
      sealInPlace(nested, values[name] as Record<string, unknown>, view[name] as Record<string, unknown>)
      continue
    }
    Object.defineProperty(document, name, {
      enumerable,
      configurable: true,
      get() {
        // The view reports the read, and refuses a secret. Mongoose itself needs the original value, not a copy.
        void view[name]
        return values[name]
      },
      set(value: unknown) {
        values[name] = value
      },
    })
  }
}

function isNested(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function modelOf(names: ModelNames, name: string): string | undefined {
  return Object.hasOwn(names, name) ? names[name] : undefined
}
