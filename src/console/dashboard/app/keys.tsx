import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { AppView, KeysView, KeyView, NewKey } from '../../contract.ts'
import { appPath, ask, may } from '../api.ts'
import { tell, tellRefusal, wordsOf } from '../message.ts'
import { reload } from '../open-app.ts'
import { Dialog } from '../shell/dialog.tsx'
import { fromNow, timeOf } from '../words.ts'
import { KeyUses } from './key-uses.tsx'

/** How long to wait for the first request with a new key, in milliseconds. */
const WAITED_FOR = 10 * 60_000

export function Keys({ app }: { app: AppView }): JSX.Element {
  const keys = useSignal<readonly KeyView[] | undefined>(undefined)
  const made = useSignal<NewKey | undefined>(undefined)
  const wanted = useSignal<{ readonly rotate?: string } | undefined>(undefined)
  const path = appPath(app.appId, '/keys')
  useEffect(() => {
    ask<KeysView>('GET', path).then((view) => {
      keys.value = view.keys
    }, tellRefusal)
  }, [path, app.revision])

  // A new key, while its first request is awaited, which is then announced.
  const awaited = useSignal<{ readonly id: string; readonly until: number } | undefined>(undefined)
  useEffect(() => {
    const timer = setInterval(() => {
      const { value } = awaited
      if (value === undefined || document.hidden) return
      if (Date.now() > value.until) {
        awaited.value = undefined
        return
      }
      void ask<KeysView>('GET', path).then(
        (view) => {
          keys.value = view.keys
          if (view.keys.find(({ id }) => id === value.id)?.lastUsed === undefined) return
          awaited.value = undefined
          tell(`The first request signed with ${value.id} has arrived.`)
        },
        () => undefined,
      )
    }, 3_000)
    return () => clearInterval(timer)
  }, [path])

  const change = async (
    what: string,
    done: string,
    body?: unknown,
    method: 'POST' | 'DELETE' = 'POST',
  ): Promise<void> => {
    try {
      const view = await ask<KeysView | undefined>(
        method,
        `${path}/${what}`,
        body === undefined ? {} : { body },
      )
      keys.value = view?.keys ?? keys.value
      tell(done)
      await reload()
    } catch (error) {
      tellRefusal(error)
    }
  }
  return (
    <section aria-labelledby="keys-title" class="card" id="keys">
      <div class="card-head">
        <div>
          <h2 id="keys-title">Keys</h2>
          <p class="quiet">The app's servers sign their requests with one of these keys.</p>
        </div>
        {may('keys') && (
          <button
            type="button"
            class="main"
            onClick={() => {
              wanted.value = {}
            }}
          >
            New key
          </button>
        )}
      </div>
      {keys.value?.length === 0 && (
        <p class="empty">
          No keys yet. Servers of this app need one to sign requests. Pages in a browser need none.
        </p>
      )}
      <ul class="keys">
        {keys.value?.map((key) => (
          <KeyRow
            key={key.id}
            view={key}
            change={change}
            rotate={() => {
              wanted.value = { rotate: key.id }
            }}
          />
        ))}
      </ul>
      <KeyUses app={app} keys={keys.value ?? []} />
      {wanted.value && (
        <KeyForm
          path={path}
          rotate={wanted.value.rotate}
          taken={keys.value?.map(({ id }) => id) ?? []}
          appId={app.appId}
          done={(view) => {
            wanted.value = undefined
            if (view === undefined) return
            keys.value = view.keys ?? keys.value
            made.value = view
            awaited.value = { id: view.id, until: Date.now() + WAITED_FOR }
            void reload()
          }}
        />
      )}
      {made.value && (
        <Secret
          made={made.value}
          appId={app.appId}
          done={() => {
            made.value = undefined
          }}
        />
      )}
    </section>
  )
}

function usedWords({ lastUsed, state }: KeyView): string {
  if (lastUsed !== undefined) return `last used ${fromNow(lastUsed)}`
  return state === 'ended' ? 'never used' : 'waiting for the first signed request…'
}

type ChangeKey = (what: string, done: string, body?: unknown, method?: 'POST' | 'DELETE') => Promise<void>

function KeyRow({ view, change, rotate }: { view: KeyView; change: ChangeKey; rotate(): void }): JSX.Element {
  const { id, state, notAfter, restorableUntil } = view
  const place = encodeURIComponent(id)
  return (
    <li>
      <div class="grow">
        <span class="id strong">{id}</span>
        <span class={`badge ${state === 'active' ? 'good' : state === 'ending' ? 'fair' : ''}`}>
          {state === 'ending' && notAfter ? `ends ${fromNow(notAfter)}` : state}
        </span>
        <span class="quiet block">
          {usedWords(view)}
          {state === 'ended' &&
            (restorableUntil === undefined
              ? ' · can no longer be restored'
              : ` · can be restored until ${timeOf(restorableUntil)}`)}
        </span>
      </div>
      {may('keys') && (
        <div class="buttons">
          {state !== 'ended' && (
            <>
              <button type="button" aria-label={`Rotate ${id}`} onClick={rotate}>
                Rotate
              </button>
              <button
                type="button"
                aria-label={`Revoke ${id}`}
                onClick={() =>
                  void change(`${place}/revocation`, `${id} is revoked. You can restore it for seven days.`, {
                    leaked: false,
                  })
                }
              >
                Revoke
              </button>
            </>
          )}
          {restorableUntil !== undefined && (
            <button
              type="button"
              aria-label={`Restore ${id}`}
              onClick={() => void change(`${place}/restoration`, `${id} is restored.`)}
            >
              Restore
            </button>
          )}
          <Destroy
            id={id}
            destroy={(leaked) =>
              change(
                leaked ? `${place}/revocation` : place,
                `${id} is destroyed.`,
                leaked ? { leaked } : undefined,
                leaked ? 'POST' : 'DELETE',
              )
            }
          />
        </div>
      )}
    </li>
  )
}

/** Destroying cannot be undone, so it needs a second click. */
function Destroy({ id, destroy }: { id: string; destroy(leaked: boolean): Promise<void> }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null)
  const act = (leaked: boolean): void => {
    dialog.current?.close()
    void destroy(leaked)
  }
  return (
    <>
      <button
        type="button"
        class="danger"
        aria-label={`Destroy ${id}`}
        onClick={() => dialog.current?.showModal()}
      >
        Destroy
      </button>
      <dialog ref={dialog} aria-labelledby={`destroy-${id}`}>
        <h2 id={`destroy-${id}`}>Destroy {id}?</h2>
        <p>Requests signed with this key are refused immediately. Its secret cannot be recovered.</p>
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="button" class="danger" onClick={() => act(true)}>
            Destroy as leaked
          </button>
          <button type="button" class="danger main" onClick={() => act(false)}>
            Destroy
          </button>
        </div>
      </dialog>
    </>
  )
}

const OVERLAPS: readonly (readonly [title: string, milliseconds: number])[] = [
  ['immediately', 0],
  ['in 1 hour', 3_600_000],
  ['in 24 hours', 86_400_000],
  ['in 7 days', 7 * 86_400_000],
  ['in 30 days', 30 * 86_400_000],
]

function KeyForm({
  path,
  rotate,
  taken,
  appId,
  done,
}: {
  path: string
  rotate: string | undefined
  taken: readonly string[]
  appId: string
  done(view: NewKey | undefined): void
}): JSX.Element {
  const id = useSignal(freeId(appId, taken))
  const overlap = useSignal(86_400_000)
  const refusal = useSignal('')
  const make = async (event: Event): Promise<void> => {
    event.preventDefault()
    refusal.value = ''
    try {
      const view =
        rotate === undefined
          ? await ask<NewKey>('POST', path, { body: { id: id.value } })
          : await ask<NewKey>('POST', `${path}/${encodeURIComponent(rotate)}/rotation`, {
              body: { id: id.value, overlap: overlap.value },
            })
      done(view)
    } catch (error) {
      refusal.value = wordsOf(error)
    }
  }
  return (
    <Dialog title="key-form" leave={() => done(undefined)}>
      <form onSubmit={(event) => void make(event)}>
        <h2 id="key-form">{rotate === undefined ? 'New key' : `Rotate ${rotate}`}</h2>
        <label for="key-id">ID of the new key</label>
        <input
          id="key-id"
          required
          spellcheck={false}
          autocomplete="off"
          value={id.value}
          onInput={(event) => {
            id.value = event.currentTarget.value
          }}
        />
        {rotate !== undefined && (
          <>
            <label for="overlap">The old key stops working</label>
            <select
              id="overlap"
              value={String(overlap.value)}
              onChange={(event) => {
                overlap.value = Number(event.currentTarget.value)
              }}
            >
              {OVERLAPS.map(([title, milliseconds]) => (
                <option key={milliseconds} value={String(milliseconds)}>
                  {title}
                </option>
              ))}
            </select>
            <p class="quiet">Until then both keys work, so no request fails while you update your servers.</p>
          </>
        )}
        {refusal.value !== '' && (
          <p class="note refused" role="alert">
            {refusal.value}
          </p>
        )}
        <div class="buttons">
          <button type="button" onClick={() => done(undefined)}>
            Cancel
          </button>
          <button type="submit" class="main">
            Create key
          </button>
        </div>
      </form>
    </Dialog>
  )
}

function freeId(appId: string, taken: readonly string[]): string {
  for (let number = 1; ; number += 1) {
    const id = `${appId.slice(0, 110)}-${number}`
    if (!taken.includes(id)) return id
  }
}

/** The secret of a new key. It is shown only once, so only the button closes the dialog. */
function Secret({ made, appId, done }: { made: NewKey; appId: string; done(): void }): JSX.Element {
  const stored = useSignal(false)
  const copied = useSignal('')
  const environment = `PORTCULLIS_APP_ID=${appId}\nPORTCULLIS_KEY_ID=${made.id}\nPORTCULLIS_SECRET=${made.secret}`
  const copy = async (what: string, text: string): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text)
      copied.value = `${what} copied.`
    } catch {
      copied.value = 'The browser blocked copying. Select the text instead.'
    }
  }
  return (
    <Dialog title="secret-title">
      <h2 id="secret-title">Store this secret now</h2>
      <p>You will not see it again, and nobody can recover it.</p>
      <label for="secret">Secret of {made.id}</label>
      <input
        id="secret"
        class="mono"
        readOnly
        value={made.secret}
        onFocus={(event) => event.currentTarget.select()}
      />
      <div class="buttons start">
        <button type="button" onClick={() => void copy('Secret', made.secret)}>
          Copy the secret
        </button>
        <button type="button" onClick={() => void copy('.env lines', environment)}>
          Copy as .env
        </button>
      </div>
      <p class="quiet" role="status">
        {copied.value}
      </p>
      <label class="check">
        <input
          type="checkbox"
          checked={stored.value}
          onChange={(event) => {
            stored.value = event.currentTarget.checked
          }}
        />
        I have stored it
      </label>
      <div class="buttons">
        <button type="button" class="main" disabled={!stored.value} onClick={done}>
          Close
        </button>
      </div>
    </Dialog>
  )
}
