import { useSignalEffect } from '@preact/signals'
import type { JSX } from 'preact'
import { hasEnded, may, running, session, signOut } from '../api.ts'
import { AppPage } from '../app/app-page.tsx'
import { AppsPage } from '../apps-page.tsx'
import { ListsPage, OneList } from '../lists-page.tsx'
import { message } from '../message.ts'
import { PeoplePage } from '../people-page.tsx'
import { RegionsPage } from '../regions-page.tsx'
import { RequestPage } from '../request-page.tsx'
import { linkTo, place } from '../route.ts'
import { RIGHTS } from '../words.ts'
import { Heading } from './heading.tsx'
import { MessageBar } from './message-bar.tsx'
import { Palette } from './palette.tsx'
import { SignIn, SignInAgain } from './sign-in.tsx'

export function Shell(): JSX.Element {
  // A message of one page is not shown on the next, except one from just before the change of pages, or one with `Undo`.
  useSignalEffect(() => {
    const [kind, appId] = place.value
    const { at = 0, action } = message.peek() ?? {}
    if (action !== undefined && kind === 'apps' && appId === action.appId) return
    if (Date.now() - at > 1_000) message.value = undefined
  })
  const who = session.value
  return (
    <>
      <div class={running.value > 0 ? 'running is-running' : 'running'} aria-hidden="true" />
      <header class="top">
        <a class="brand" href={linkTo()}>
          <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
            <rect width="32" height="32" rx="7" fill="currentColor" />
            <path d="M7 26V14a9 9 0 0 1 18 0v12M13 7v19M19 7v19M7 16h18M7 22h18" class="bars" />
          </svg>
          Portcullis
        </a>
        {who && (
          <nav class="places" aria-label="Main">
            <Place to="apps">Apps</Place>
            {who.offers.lists && <Place to="lists">Lists</Place>}
            {who.offers.reports && may('look-at-personal-data') && <Place to="people">People</Place>}
            {who.offers.regions && <Place to="regions">Regions</Place>}
            <Palette />
          </nav>
        )}
        {who && (
          <div class="who">
            <span class="quiet" title={`Rights: ${who.rights.map((right) => RIGHTS[right]).join(', ')}`}>
              {who.name}
            </span>
            <button type="button" class="plain" onClick={() => void signOut()}>
              Sign out
            </button>
          </div>
        )}
      </header>
      {who === undefined && <p class="page quiet">Loading…</p>}
      {who === null && <SignIn />}
      {who && <Page key={who.name} />}
      {who && hasEnded.value && <SignInAgain />}
      <MessageBar />
    </>
  )
}

function Place({ to, children }: { to: string; children: string }): JSX.Element {
  const [current = 'apps'] = place.value
  return (
    <a href={to === 'apps' ? linkTo() : linkTo(to)} aria-current={current === to ? 'page' : undefined}>
      {children}
    </a>
  )
}

function Page(): JSX.Element {
  const [first, appId, section = 'keys'] = place.value
  if (first === undefined) return <AppsPage />
  if (first === 'apps' && appId !== undefined) return <AppPage key={appId} appId={appId} section={section} />
  if (first === 'lists') return appId === undefined ? <ListsPage /> : <OneList key={appId} name={appId} />
  if (first === 'people') return <PeoplePage />
  if (first === 'regions') return <RegionsPage />
  if (first === 'requests' && appId !== undefined) return <RequestPage requestId={appId} />
  return (
    <main class="page">
      <Heading>Page not found</Heading>
      <p>
        <a href={linkTo()}>Back to all apps</a>
      </p>
    </main>
  )
}
