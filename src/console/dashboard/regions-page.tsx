import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { RegionsView } from '../contract.ts'
import { ask } from './api.ts'
import { tellRefusal } from './message.ts'
import { Heading } from './shell/heading.tsx'

type Location = RegionsView['locations'][number]

const CONDITIONS: Readonly<Record<Location['condition'], readonly [badge: string, words: string]>> = {
  current: ['good', 'answers, and has everything'],
  behind: ['fair', 'answers, and is being brought up to date'],
  away: ['danger', 'does not answer'],
  foreign: ['danger', 'its server says that it is another location'],
  unknown: ['', 'was not asked yet'],
}

/** How often the health is asked for, in milliseconds. */
const ASKED_EVERY = 5_000

/** The locations of each jurisdiction with their health, by colour and by words. */
export function RegionsPage(): JSX.Element {
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
            ? 'No location is reached from here.'
            : away.length === 0
              ? 'Every location answers, or was not asked yet.'
              : `Out of order: ${away.map(({ location }) => location).join(', ')}.`}
        </p>
      )}
      {jurisdictions.map((jurisdiction) => (
        <section key={jurisdiction} class="card" aria-labelledby={`region-${jurisdiction}`}>
          <h2 id={`region-${jurisdiction}`}>{jurisdiction}</h2>
          <p class="quiet">People of this jurisdiction are kept in these locations, and in no other.</p>
          <ul class="keys">
            {places
              .filter((place) => place.jurisdiction === jurisdiction)
              .map(({ location, condition }) => (
                <li key={location}>
                  <div class="grow">
                    <strong>{location}</strong>
                    <span class={`badge ${CONDITIONS[condition][0]}`}>{condition}</span>
                    <span class="quiet block">{CONDITIONS[condition][1]}</span>
                  </div>
                </li>
              ))}
          </ul>
        </section>
      ))}
    </main>
  )
}
