import * as z from 'zod/mini'
import type { AccessReportView } from '../contract.ts'
import type { Desk } from '../desk.ts'
import { ConsoleProblem } from '../problems.ts'
import { route, type Route } from '../route.ts'

/** The shortest purpose, in characters. */
const SHORTEST_PURPOSE = 5

/** Reports for people who ask who has read their data. */
export function peopleRoutes({ accessReport }: Pick<Desk, 'accessReport'>): Route[] {
  return [
    // POST instead of GET, because the id of a person must not appear in a URL, which is logged.
    route<{ person: string; note: string }>({
      method: 'POST',
      path: '/access-report',
      access: ['look-at-personal-data'],
      personal: true,
      summary:
        'All accesses to the data of a person: which fields were read, when, by which app and why. `note` is the purpose; it is recorded.',
      body: () =>
        z.strictObject({
          person: z.string().check(z.minLength(1), z.maxLength(512)),
          note: z.string().check(z.maxLength(1_024)),
        }),
      async handle({ body: { person, note }, session }) {
        if (accessReport === undefined)
          throw new ConsoleProblem('NOT_SUPPORTED', {
            detail: 'the console was created without `accessReport`',
          })
        const purpose = note.trim()
        if (purpose.length < SHORTEST_PURPOSE)
          throw new ConsoleProblem('PURPOSE_MISSING', {
            detail: `state the purpose of the report in at least ${SHORTEST_PURPOSE} characters`,
          })
        const body: AccessReportView = await accessReport(person, { purpose, actor: session.name })
        return { body }
      },
    }),
  ]
}
