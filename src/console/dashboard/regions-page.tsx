import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { RegionsView } from '../contract.ts'
import { ask, session } from './api.ts'
import { tellRefusal } from './message.ts'
import { RegionMap } from './region-map.tsx'
import { Heading } from './shell/heading.tsx'

type Location = RegionsView['locations'][number]

const CONDITIONS: Readonly<
  Record<Location['condition'], readonly [badge: string, title: string, words: string]>
> = {
  current: ['good', 'up to date', 'Reachable, with all data.'],
  behind: ['fair', 'catching up', 'Reachable, and being brought up to date.'],
  away: ['danger', 'unreachable', 'Does not answer.'],
  foreign: ['danger', 'wrong server', 'The server says that it is another location.'],
  unknown: ['', 'unknown', 'Not checked yet.'],
}

/** How often the health is refreshed, in milliseconds. */
const ASKED_EVERY = 5_000

/** The locations of each jurisdiction with their health, as colour and as text. */
export function RegionsPage(): JSX.Element {
  return session.value?.offers.regions === true ? <Regions /> : <NoRegions />
}

function NoRegions(): JSX.Element {
  return (
    <main class="page">
      <Heading>Regions</Heading>
      <p class="card">
        This console does not show regions, because it was created without the option <code>regions</code>. If
        the server keeps people in several locations with <code>regionalStore</code>, pass{' '}
        <code>{'regions: () => store.status()'}</code> to <code>createConsole</code>.
      </p>
    </main>
  )
}

function Regions(): JSX.Element {
  const view = useSignal<RegionsView | undefined>(undefined)
  useEffect(() => {
    const look = (): Promise<void> =>
      ask<RegionsView>('GET', 'regions').then((answer) => {
        view.value = answer
      }, tellRefusal)
    void look()
    const timer = setInterval(() => {
      if (!document.hidden) void look()
    }, ASKED_EVERY)
    return () => clearInterval(timer)
  }, [])
  const places = view.value?.locations ?? []
  const jurisdictions = [...new Set(places.map(({ jurisdiction }) => jurisdiction))]
  const away = places.filter(({ condition }) => condition === 'away' || condition === 'foreign')
  return (
    <main class="page">
      <Heading>Regions</Heading>
      {view.value && (
        <p class={`note ${away.length === 0 ? 'good' : 'danger'}`} role="status">
          {places.length === 0
            ? 'This server reaches no location.'
            : away.length === 0
              ? places.some(({ condition }) => condition === 'unknown')
                ? 'No location is known to be unavailable.'
                : 'All locations are available.'
              : 'Not available: '}
          {away.map(({ location }, index) => (
            <span key={location} class="place">
              {`${location}${index === away.length - 1 ? '.' : ', '}`}
            </span>
          ))}
        </p>
      )}
      <RegionMap locations={places} />
      {jurisdictions.map((jurisdiction) => (
        <section key={jurisdiction} class="card" aria-labelledby={`region-${jurisdiction}`}>
          <h2 id={`region-${jurisdiction}`} class="place">
            {jurisdiction}
          </h2>
          <p class="quiet">Data of people in this jurisdiction is kept in these locations only.</p>
          <ul class="keys">
            {places
              .filter((place) => place.jurisdiction === jurisdiction)
              .map(({ location, condition }) => (
                <li key={location}>
                  <div class="grow">
                    <strong class="place">{location}</strong>
                    <span class={`badge ${CONDITIONS[condition][0]}`}>{CONDITIONS[condition][1]}</span>
                    <span class="quiet block">{CONDITIONS[condition][2]}</span>
                  </div>
                </li>
              ))}
          </ul>
        </section>
      ))}
    </main>
  )
}
