import type { RegionsView } from '../contract.ts'
import type { Desk } from '../desk.ts'
import { ConsoleProblem } from '../problems.ts'
import { route, type Route } from '../route.ts'

export function regionRoutes({ regions }: Pick<Desk, 'regions'>): Route[] {
  return [
    route({
      method: 'GET',
      path: '/regions',
      access: ['look'],
      summary: 'The locations of each jurisdiction, and whether they answer.',
      async handle() {
        if (regions === undefined)
          throw new ConsoleProblem('NOT_SUPPORTED', { detail: 'the console was created without `regions`' })
        const body: RegionsView = {
          locations: regions().map(({ jurisdiction, location, condition }) => ({
            jurisdiction,
            location,
            condition,
          })),
        }
        return { body }
      },
    }),
  ]
}
