import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { AppView, Review, ThreeWay } from '../../contract.ts'
import { appPath, ask, may } from '../api.ts'
import { tell, tellRefusal, wordsOf } from '../message.ts'
import { Prose } from '../prose.tsx'
import { openApp, reload, showApp } from '../open-app.ts'
import { goTo, linkTo } from '../route.ts'
import { placeOf, RIGHTS, scoreWords } from '../words.ts'
import { Changes } from './changes.tsx'
import { tellPublished } from './undo.ts'

export function ReviewPage({ app }: { app: AppView }): JSX.Element {
  const review = useSignal<Review | undefined>(undefined)
  const refusal = useSignal('')
  const note = useSignal('')
  const version = app.draft?.version
  const show = async (): Promise<void> => {
    review.value = undefined
    refusal.value = ''
    if (version === undefined) return
    try {
      review.value = await ask<Review>('GET', appPath(app.appId, '/review'))
    } catch (error) {
      refusal.value = wordsOf(error)
    }
  }
  useEffect(() => void show(), [app.appId, version, app.revision])

  const tellOf = (answer: { revision: number; replaced: number }): void => {
    tellPublished({ appId: app.appId, ...answer, at: Date.now() })
    goTo('apps', app.appId, 'keys')
  }
  const publish = async (event: Event): Promise<void> => {
    event.preventDefault()
    const { value } = review
    if (value === undefined) return
    try {
      const answer = await ask<{ revision: number; replaced: number }>(
        'POST',
        appPath(app.appId, '/publication'),
        {
          body: { version: value.version, ...(note.value.trim() && { note: note.value.trim() }) },
          revision: value.revision,
        },
      )
      tellOf(answer)
      await reload()
    } catch (error) {
      tellRefusal(error)
      await reload()
      // The store may have written the policy although the answer was an error.
      const { appId, policy, revision, draft } = openApp.value ?? {}
      const isDone = appId === app.appId && draft === undefined && revision === value.revision + 1
      if (isDone && isSame(policy, app.draft?.policy)) tellOf({ revision, replaced: value.revision })
    }
  }

  if (app.draft === undefined) {
    return (
      <section class="card">
        <h2>Nothing to review</h2>
        <p>
          There is no draft. <a href={linkTo('apps', app.appId, 'keys')}>Edit a protection</a> to start one.
        </p>
      </section>
    )
  }
  const { value } = review
  if (value === undefined) {
    return refusal.value === '' ? (
      <p class="quiet">Loading…</p>
    ) : (
      <>
        <p class="note refused" role="alert">
          {refusal.value}
        </p>
        <button type="button" onClick={() => void show()}>
          Try again
        </button>
      </>
    )
  }
  const { scoreBefore, highestBefore, scoreAfter, highestAfter, changes, verdict, missing, conflict } = value
  const blocked = missing.length > 0 && !may('break-glass')
  return (
    <>
      {conflict && <Meanwhile app={app} conflict={conflict} version={value.version} />}
      <section class="card" aria-labelledby="changes-title">
        <h2 id="changes-title">What changes</h2>
        <Changes changes={changes} />
        <p>
          Score {scoreWords(scoreBefore, highestBefore)} →{' '}
          <strong>{scoreWords(scoreAfter, highestAfter)}</strong>
          {scoreAfter < scoreBefore && '. This protects less than before.'}
        </p>
        <VerdictWords verdict={verdict} />
        <Dangers review={value} />
      </section>
      <form class="card" onSubmit={(event) => void publish(event)}>
        <h2>Publish</h2>
        <label for="note">Reason (kept in the history)</label>
        <textarea
          id="note"
          rows={2}
          maxLength={1000}
          value={note.value}
          required={missing.length > 0 && !blocked}
          onInput={(event) => {
            note.value = event.currentTarget.value
          }}
        />
        {missing.length > 0 && (
          <p class="note danger">
            This needs the right to {missing.map((right) => RIGHTS[right]).join(' and to ')}, which you do not
            have.
            {!blocked &&
              ' In an emergency you can break the glass: give a reason of at least 20 characters. It is recorded.'}
          </p>
        )}
        <div class="buttons">
          <button type="submit" class="main" disabled={blocked || conflict !== undefined}>
            {missing.length > 0 && !blocked ? 'Break the glass and publish' : 'Publish'}
          </button>
        </div>
      </form>
    </>
  )
}

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)

/** What is dangerous about the policy as a whole, whether the draft has changed it or not. */
function Dangers({ review }: { review: Review }): JSX.Element {
  const lists = review.missingLists.map(({ name, refuses }) =>
    refuses
      ? `The named list \`${name}\` does not exist. Its ranges are to be refused, so nobody is admitted until it exists.`
      : `The named list \`${name}\` does not exist, so it admits nobody.`,
  )
  const findings = review.findings
    .filter(({ severity }) => severity === 'danger')
    .map(({ path, message }) => `\`${path}\` ${message}`)
  return (
    <>
      {[...lists, ...findings].map((text) => (
        <p key={text} class="note danger">
          <Prose text={text} />
        </p>
      ))}
    </>
  )
}

function VerdictWords({ verdict }: { verdict: Review['verdict'] }): JSX.Element | null {
  const { narrows, widens, sentences } = verdict
  const said =
    narrows === 'unknown' || widens === 'unknown'
      ? 'It is not known whether this admits more or fewer requests than before.'
      : narrows && widens
        ? 'This admits some requests that were refused, and refuses some that were admitted.'
        : widens
          ? 'This admits requests that were refused before.'
          : narrows
            ? 'This refuses requests that were admitted before, and admits no others.'
            : 'Every request is judged as before.'
  return (
    <>
      <p class={`note ${widens === true ? 'danger' : ''}`}>{said}</p>
      {sentences.length > 0 && (
        <ul>
          {sentences.map((sentence) => (
            <li key={sentence}>
              <Prose text={`${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`} />
            </li>
          ))}
        </ul>
      )}
    </>
  )
}

function Meanwhile({
  app,
  conflict,
  version,
}: {
  app: AppView
  conflict: ThreeWay
  version: string
}): JSX.Element {
  const take = async (which: 'merged' | 'yours' | 'theirs'): Promise<void> => {
    try {
      const view = await ask<AppView | undefined>('POST', appPath(app.appId, '/draft/rebase'), {
        body: { take: which, version },
      })
      await showApp(view)
      tell(which === 'theirs' ? 'Draft discarded.' : 'The draft is now based on the revision in force.')
    } catch (error) {
      tellRefusal(error)
      await reload()
    }
  }
  return (
    <section class="card conflict" aria-labelledby="meanwhile-title">
      <h2 id="meanwhile-title">Someone else has published since</h2>
      <div class="two">
        <section>
          <h3>Published</h3>
          <Changes changes={conflict.theirChanges} />
        </section>
        <section>
          <h3>Your draft</h3>
          <Changes changes={conflict.yourChanges} />
        </section>
      </div>
      {conflict.conflicts.length > 0 && (
        <p class="note danger">You both changed {conflict.conflicts.map(placeOf).join(', ')}.</p>
      )}
      <div class="buttons">
        <button type="button" onClick={() => void take('theirs')}>
          Discard my draft
        </button>
        <button type="button" class={conflict.merged ? '' : 'main'} onClick={() => void take('yours')}>
          Keep my draft unchanged
        </button>
        {conflict.merged && (
          <button type="button" class="main" onClick={() => void take('merged')}>
            Merge both
          </button>
        )}
      </div>
    </section>
  )
}
