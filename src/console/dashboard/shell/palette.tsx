import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { AppRow, AppRows } from '../../contract.ts'
import { ask, may, session } from '../api.ts'
import { tellRefusal } from '../message.ts'
import { goTo, linkTo } from '../route.ts'
import { nameOf } from '../words.ts'

/** The id of a request, as in a problem document. */
const REQUEST_ID = /^[\w-]{8,128}$/

/** Finds an app or a request by an id that is typed or pasted. Control and K open it. */
export function Palette(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null)
  const field = useRef<HTMLInputElement>(null)
  const text = useSignal('')
  const apps = useSignal<readonly AppRow[] | undefined>(undefined)
  const latest = useRef(0)
  const searching = useRef<Promise<void> | undefined>(undefined)

  const open = (): void => {
    text.value = ''
    apps.value = undefined
    dialog.current?.showModal()
    field.current?.focus()
  }
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey) || event.altKey) return
      event.preventDefault()
      if (dialog.current?.open === false && document.querySelector('dialog[open]') === null) open()
    }
    addEventListener('keydown', listen)
    return () => removeEventListener('keydown', listen)
  }, [])

  const search = async (): Promise<void> => {
    const number = (latest.current += 1)
    if (text.value === '') {
      apps.value = undefined
      return
    }
    try {
      const found = await ask<AppRows>('GET', `apps?${new URLSearchParams({ find: text.value, limit: '8' })}`)
      if (number === latest.current) apps.value = found.apps
    } catch (error) {
      tellRefusal(error)
    }
  }
  const mayBeRequest =
    session.value?.offers.events === true && may('look-at-personal-data') && REQUEST_ID.test(text.value)
  const close = (): void => dialog.current?.close()
  /** Waits for the search, because the user may press Enter before its answer. Prefers an app to a request. */
  const choose = async (): Promise<void> => {
    await searching.current
    const [app] = apps.value ?? []
    if (app === undefined && !mayBeRequest) return
    close()
    if (app === undefined) goTo('requests', text.value)
    else goTo('apps', app.appId)
  }
  return (
    <>
      <button type="button" class="plain" onClick={open} title="Ctrl+K">
        Go to…
      </button>
      <dialog ref={dialog} aria-label="Go to" class="palette">
        <form
          onSubmit={(event) => {
            event.preventDefault()
            void choose()
          }}
        >
          <label for="palette">App ID or request ID</label>
          <input
            id="palette"
            ref={field}
            type="search"
            spellcheck={false}
            autocomplete="off"
            value={text.value}
            onInput={(event) => {
              text.value = event.currentTarget.value.trim()
              searching.current = search()
            }}
          />
        </form>
        <ul aria-label="Results" class="found">
          {apps.value?.map(({ appId, name }) => (
            <li key={appId}>
              <a href={linkTo('apps', appId)} onClick={close}>
                <bdi>{nameOf(appId, name)}</bdi> <span class="id">{appId}</span>
              </a>
            </li>
          ))}
          {mayBeRequest && (
            <li>
              <a href={linkTo('requests', text.value)} onClick={close}>
                Request <span class="id">{text.value}</span>
              </a>
            </li>
          )}
        </ul>
        {apps.value?.length === 0 && <p role="status">No app ID starts with “{text.value}”.</p>}
        <div class="buttons">
          <button type="button" onClick={close}>
            Close
          </button>
        </div>
      </dialog>
    </>
  )
}
