import type { Holding } from '../homes.ts'
import { nameOf } from './home-page.ts'
import { html, type Html } from './html.ts'
import { layout } from './layout.ts'

/** The states of a location, in words. */
const STATES: Readonly<Record<string, string>> = {
  current: 'answers',
  behind: 'catching up',
  away: 'unreachable',
  foreign: 'wrong location',
  unknown: 'not checked yet',
}

/** How many characters of an identifier are shown, including the jurisdiction. */
const SHOWN = 16

function withoutRegions(): string {
  return layout(
    'What each location stores',
    html`<h1>What each location stores</h1>
      <p>This gateway was started without a Redis for each location, so there is nothing to compare here.</p>
      <p>
        Run <code>npm run demo:regions</code>. It starts a gateway and a Redis in each of three locations, and
        this page then shows what each of them stores.
      </p>`,
  )
}

/**
 * The page that shows what each location stores. It shows the first characters of people's identifiers, and no field.
 */
export function regionsPage(holdings: readonly Holding[]): string {
  if (holdings.length === 0) return withoutRegions()
  const people = [...new Set(holdings.flatMap(({ people = [] }) => people))].toSorted()
  const cell = ({ people: there }: Holding, id: string): Html =>
    there === undefined ? html`<td>?</td>` : html`<td>${there.includes(id) ? 'sealed' : 'nothing'}</td>`
  return layout(
    'What each location stores',
    html`<h1>What each location stores</h1>
      <p>
        Read from the Redis of each location when this page was loaded. The page reloads itself every two
        seconds.
      </p>
      <div class="scroll" role="region" aria-label="Locations" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">Location</th>
              <th scope="col">Jurisdiction</th>
              <th scope="col">State</th>
              <th scope="col">People</th>
              <th scope="col">People's keys</th>
              <th scope="col">Email addresses (blind index)</th>
            </tr>
          </thead>
          <tbody>
            ${holdings.map(
              ({ location, jurisdiction, condition, people: there, keys, emails }) =>
                html`<tr>
                  <td>${nameOf(location)}</td>
                  <td>${jurisdiction}</td>
                  <td>${STATES[condition] ?? condition}</td>
                  <td>${String(there?.length ?? '?')}</td>
                  <td>${String(keys ?? '?')}</td>
                  <td>${String(emails ?? '?')}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
      <h2>People</h2>
      <div class="scroll" role="region" aria-label="People" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">Identifier</th>
              ${holdings.map(({ location }) => html`<th scope="col">${nameOf(location)}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${people.map(
              (id) =>
                html`<tr>
                  <td><code>${id.slice(0, SHOWN)}…</code></td>
                  ${holdings.map((holding) => cell(holding, id))}
                </tr>`,
            )}
          </tbody>
        </table>
      </div>`,
    { wide: true },
  )
}
