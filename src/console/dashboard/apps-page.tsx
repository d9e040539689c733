import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import type { AppRow, AppRows } from '../contract.ts'
import { ask, may, takeFirstApps } from './api.ts'
import { tellRefusal, wordsOf } from './message.ts'
import { goTo, linkTo } from './route.ts'
import { Score } from './score.tsx'
import { Heading } from './shell/heading.tsx'
import { GUARDS, nameOf } from './words.ts'

export function AppsPage(): JSX.Element {
  const page = useSignal<AppRows | undefined>(takeFirstApps())
  const find = useSignal('')
  /** The starts of the previous pages. */
  const trail = useSignal<readonly string[]>([])
  const latest = useRef(0)

  const show = async (after: string | undefined): Promise<void> => {
    const number = (latest.current += 1)
    const query = new URLSearchParams({ ...(find.value && { find: find.value }), ...(after && { after }) })
    try {
      const rows = await ask<AppRows>('GET', `apps?${query}`)
      if (number === latest.current) page.value = rows
    } catch (error) {
      tellRefusal(error)
    }
  }
  useLayoutEffect(() => {
    if (page.value === undefined) void show(undefined)
  }, [])

  const turn = (places: readonly string[]): void => {
    trail.value = places
    void show(places.at(-1))
  }
  const rows = page.value
  return (
    <main class="page">
      <Heading>Apps</Heading>
      <div class="tools">
        <label class="grow">
          <span>Find an app by the start of its ID</span>
          <input
            type="search"
            spellcheck={false}
            value={find.value}
            onInput={(event) => {
              find.value = event.currentTarget.value.trim()
              turn([])
            }}
          />
        </label>
        {may('widen') && <NewApp />}
      </div>
      {rows?.apps.length === 0 && (
        <p class="card empty">
          {find.value === ''
            ? 'No apps yet. Create the first one above.'
            : `No app ID starts with “${find.value}”.`}
        </p>
      )}
      {rows && rows.apps.length > 0 && <AppTable apps={rows.apps} />}
      <nav class="pager" aria-label="Pages of apps">
        {trail.value.length > 0 && (
          <button type="button" onClick={() => turn(trail.value.slice(0, -1))}>
            Previous
          </button>
        )}
        {rows?.next !== undefined && (
          <button type="button" onClick={() => turn([...trail.value, rows.next ?? ''])}>
            Next
          </button>
        )}
      </nav>
    </main>
  )
}

function AppTable({ apps }: { apps: readonly AppRow[] }): JSX.Element {
  return (
    <div class="card table-card">
      <table>
        <thead>
          <tr>
            <th scope="col">App</th>
            <th scope="col">Score</th>
            <th scope="col" class="wide-only">
              Protections
            </th>
          </tr>
        </thead>
        <tbody>
          {apps.map((app) => (
            <tr key={app.appId}>
              <th scope="row">
                <a href={linkTo('apps', app.appId)}>{nameOf(app.appId, app.name)}</a>
                {app.hasDraft && <span class="badge">draft</span>}
                <span class="id">{app.appId}</span>
              </th>
              <td>
                <Score score={app.score} highest={app.highestScore} />
              </td>
              <td class="wide-only">
                <Modes app={app} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <ul class="modes key wide-only">
        {MODE_WORDS.map((mode) => (
          <li key={mode}>
            <span class={`mode ${mode}`} aria-hidden="true" /> {mode}
          </li>
        ))}
      </ul>
    </div>
  )
}

const MODE_WORDS = ['enforce', 'report', 'off', 'missing'] as const

/** Empty boxes with one label, because the words of all of them would take most of the time of the page. */
function Modes({ app }: { app: AppRow }): JSX.Element {
  const modes = GUARDS.map(({ name, title }) => ({ title, mode: app.modes[name] ?? 'missing' }))
  const words = modes.map(({ title, mode }) => `${title}: ${mode}`)
  return (
    <span class="modes" role="img" aria-label={words.join(', ')}>
      {modes.map(({ title, mode }, index) => (
        <span key={title} class={`mode ${mode}`} title={words[index]} />
      ))}
    </span>
  )
}

function NewApp(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null)
  const appId = useSignal('')
  const name = useSignal('')
  const refusal = useSignal('')
  const make = async (event: Event): Promise<void> => {
    event.preventDefault()
    refusal.value = ''
    try {
      await ask('POST', 'apps', { body: { appId: appId.value, ...(name.value && { name: name.value }) } })
      goTo('apps', appId.value)
    } catch (error) {
      refusal.value = wordsOf(error)
    }
  }
  return (
    <>
      <button type="button" class="main" onClick={() => dialog.current?.showModal()}>
        New app
      </button>
      <dialog ref={dialog} aria-labelledby="new-app">
        <form onSubmit={(event) => void make(event)}>
          <h2 id="new-app">New app</h2>
          <label for="app-id">ID</label>
          <input
            id="app-id"
            required
            spellcheck={false}
            autocomplete="off"
            value={appId.value}
            onInput={(event) => {
              appId.value = event.currentTarget.value
            }}
            aria-describedby="app-id-help"
          />
          <p id="app-id-help" class="quiet">
            1 to 128 characters: letters, digits, and . _ : - You cannot change it later.
          </p>
          <label for="app-name">Display name</label>
          <input
            id="app-name"
            maxLength={200}
            value={name.value}
            onInput={(event) => {
              name.value = event.currentTarget.value
            }}
          />
          {refusal.value !== '' && (
            <p class="note refused" role="alert">
              {refusal.value}
            </p>
          )}
          <div class="buttons">
            <button type="button" onClick={() => dialog.current?.close()}>
              Cancel
            </button>
            <button type="submit" class="main">
              Create app
            </button>
          </div>
        </form>
      </dialog>
    </>
  )
}
