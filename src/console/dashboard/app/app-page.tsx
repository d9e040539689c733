import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { AppView, ProblemView } from '../../contract.ts'
import { Refused } from '../api.ts'
import { wordsOf } from '../message.ts'
import { edit, editConflict, load, loadProblem, openApp } from '../open-app.ts'
import { Prose } from '../prose.tsx'
import { linkTo } from '../route.ts'
import { Score } from '../score.tsx'
import { Heading } from '../shell/heading.tsx'
import { count, GUARDS, nameOf, titleOf } from '../words.ts'
import { may, session } from '../api.ts'
import { ConflictDialog } from './conflict.tsx'
import { DraftBar } from './draft-bar.tsx'
import { History } from './history.tsx'
import { Keys } from './keys.tsx'
import { Protections } from './protections.tsx'
import { RemoveApp } from './remove-app.tsx'
import { Requests } from './requests.tsx'
import { ReviewPage } from './review.tsx'
import { ReasonDialog } from './roll-back.tsx'
import { TryIt } from './try-it.tsx'

const SECTIONS = [
  ['keys', 'API keys'],
  ['try', 'Try it'],
  ['requests', 'Requests'],
  ['history', 'History'],
] as const

export function AppPage({ appId, section }: { appId: string; section: string }): JSX.Element {
  // If the app cannot be shown, `loadProblem` has the reason.
  const show = (): Promise<void> => load(appId).catch(() => undefined)
  useEffect(() => {
    openApp.value = undefined
    loadProblem.value = undefined
    void show()
    return () => {
      openApp.value = undefined
      editConflict.value = undefined
    }
  }, [appId])
  const app = openApp.value
  if (app === undefined || app.appId !== appId)
    return <NotShown appId={appId} problem={loadProblem.value} again={() => void show()} />
  const shown = app.draft?.policy ?? app.policy
  return (
    <>
      <main class="page with-bar">
        <p class="crumbs">
          <a href={linkTo()}>Apps</a>
        </p>
        <div class="title">
          <Heading title={nameOf(appId, shown.name)}>{nameOf(appId, shown.name)}</Heading>
          <span class="id">{appId}</span>
          <Score
            score={app.draft?.score ?? app.score}
            highest={app.draft?.highestScore ?? app.highestScore}
          />
        </div>
        <nav class="tabs" aria-label="Sections of the app">
          {SECTIONS.filter(([name]) => name !== 'requests' || session.value?.offers.events).map(
            ([name, title]) => (
              <a
                key={name}
                href={linkTo('apps', appId, name)}
                aria-current={section === name ? 'page' : undefined}
              >
                {title}
              </a>
            ),
          )}
          <a href={linkTo('apps', appId, 'review')} aria-current={section === 'review' ? 'page' : undefined}>
            Review
          </a>
        </nav>
        <Section app={app} section={section} />
      </main>
      <DraftBar app={app} />
      <ConflictDialog />
      <ReasonDialog />
    </>
  )
}

/** An app that is being loaded, or that cannot be shown: the reason, and what the user can do. */
function NotShown({
  appId,
  problem,
  again,
}: {
  appId: string
  problem: ProblemView | undefined
  again(): void
}): JSX.Element {
  const { status = 200, revision } = problem ?? {}
  return (
    <>
      <main class="page">
        <p class="crumbs">
          <a href={linkTo()}>Apps</a>
        </p>
        <Heading>{appId}</Heading>
        {problem === undefined ? (
          <p class="quiet">Loading…</p>
        ) : (
          <p class="note refused">
            <Prose text={wordsOf(new Refused(problem))} />
          </p>
        )}
        {(status === 0 || status >= 500) && (
          <button type="button" onClick={again}>
            Try again
          </button>
        )}
        {revision !== undefined && (
          <>
            <p class="lead">
              Servers cannot use this policy, and refuse all requests of the app. Roll back to a revision that
              is valid, or write a valid policy with the command line or the API.
            </p>
            <History app={{ appId, revision }} isValid={false} />
            <RemoveApp app={{ appId, revision }} />
          </>
        )}
      </main>
      <ReasonDialog />
    </>
  )
}

function Section({ app, section }: { app: AppView; section: string }): JSX.Element {
  switch (section) {
    case 'review':
      return <ReviewPage app={app} />
    case 'try':
      return <TryIt app={app} />
    case 'requests':
      return <Requests app={app} />
    case 'history':
      return <History app={app} />
    default:
      return (
        <>
          <p class="quiet lead">The API keys of this app, and its six protections.</p>
          <NextStep app={app} />
          <FirstSteps app={app} />
          <Keys app={app} />
          <Protections app={app} />
          <RemoveApp app={app} />
        </>
      )
  }
}

function NextStep({ app }: { app: AppView }): JSX.Element | null {
  const { next } = app
  if (next === undefined) {
    const { policy } = app.draft ?? app
    const open = GUARDS.filter(({ name }) => policy[name]?.mode !== 'enforce').map(({ title }) => title)
    return (
      <p class="card next all">
        {open.length === 0
          ? 'Every protection is enforced. There is nothing left to turn on.'
          : `Every protection for an app in the browser is enforced. The others are for apps whose servers send the requests: ${open.join(', ')}. The score leaves out their ${100 - (app.draft ?? app).highestScore} points.`}
      </p>
    )
  }
  const { guard, mode, gain, reason } = next
  const isReady = !reason.startsWith('it has no entries')
  return (
    <section class="card next" aria-labelledby="next-title">
      <h2 id="next-title">
        Next: {titleOf(guard)} {isReady ? `→ ${mode}` : 'needs entries'}{' '}
        <span class="gain">+{count(gain, 'point')}</span>
      </h2>
      <p>
        <Prose text={`${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`} />
      </p>
      {may('narrow', 'widen') && isReady && (
        <button
          type="button"
          class="main"
          onClick={() => void edit((policy) => ({ ...policy, [guard]: { ...policy[guard], mode } }))}
        >
          Add to draft
        </button>
      )}
      {!isReady && (
        <button type="button" onClick={() => document.querySelector(`#${guard}`)?.scrollIntoView()}>
          Go to it
        </button>
      )}
    </section>
  )
}

function FirstSteps({ app }: { app: AppView }): JSX.Element | null {
  const done = app.steps.filter((step) => step.done).length
  if (done === app.steps.length) return null
  return (
    <details class="card steps" open={done < app.steps.length - 1}>
      <summary>
        <h2>First steps</h2>
        <span class="quiet">
          {done} of {app.steps.length} done{app.draft && ', counting the draft'}
        </span>
      </summary>
      <ol>
        {app.steps.map(({ title, done: isDone }) => (
          <li key={title} class={isDone ? 'done' : ''}>
            <span class="tick" aria-hidden="true">
              {isDone ? '✓' : ''}
            </span>
            {title}
            <span class="hidden">{isDone ? ' (done)' : ' (to do)'}</span>
          </li>
        ))}
      </ol>
    </details>
  )
}
