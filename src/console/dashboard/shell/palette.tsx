import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { AppRow, AppRows, KeyHolders, ListsView } from '../../contract.ts'
import { ask, may, session } from '../api.ts'
import { tellRefusal } from '../message.ts'
import { askedPerson } from '../people-page.tsx'
import { goTo, linkTo } from '../route.ts'
import { count, nameOf } from '../words.ts'

/** The id of a request, as in a problem document. */
const REQUEST_ID = /^[\w-]{8,128}$/
/** The length of the ids that Portcullis generates for requests. */
const GENERATED = 20
const KEY_ID = /^[\w.:-]{1,128}$/

/** Finds an app, a named list, a request, a person or a key by an id that is typed or pasted. Control and K open it. */
export function Palette(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null)
  const field = useRef<HTMLInputElement>(null)
  const text = useSignal('')
  const apps = useSignal<readonly AppRow[] | undefined>(undefined)
  const lists = useSignal<readonly string[]>([])
  const latest = useRef(0)
  const searching = useRef<Promise<void> | undefined>(undefined)
  const keySearch = useSignal<KeySearch | undefined>(undefined)
  const latestForKey = useRef(0)

  const open = (): void => {
    text.value = ''
    keySearch.value = undefined
    apps.value = undefined
    dialog.current?.showModal()
    field.current?.focus()
    if (session.value?.offers.lists)
      ask<ListsView>('GET', 'lists').then((answer) => {
        lists.value = answer.lists.map(({ name }) => name)
      }, tellRefusal)
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
    latestForKey.current += 1
    keySearch.value = undefined
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
  /** Looks through the keys of all apps, some at a time, until the palette is closed or another id is typed. */
  const searchKeys = async (): Promise<void> => {
    const number = (latestForKey.current += 1)
    const id = text.value
    let found: KeySearch = { id, apps: [], unread: 0, isOver: false }
    try {
      for (let after: string | undefined; !found.isOver;) {
        keySearch.value = found
        const query = new URLSearchParams({ find: id, ...(after !== undefined && { after }) })
        const { apps: more, unread, next } = await ask<KeyHolders>('GET', `keys?${query}`)
        if (number !== latestForKey.current) return
        found = {
          id,
          apps: [...found.apps, ...more],
          unread: found.unread + unread.length,
          isOver: next === undefined,
        }
        after = next
      }
      keySearch.value = found
    } catch (error) {
      if (number !== latestForKey.current) return
      keySearch.value = undefined
      tellRefusal(error)
    }
  }
  const offers = session.value?.offers
  const seesPeople = may('look-at-personal-data')
  const mayBeRequest = offers?.events === true && seesPeople && REQUEST_ID.test(text.value)
  const mayBePerson = offers?.reports === true && seesPeople && text.value !== ''
  const alike = text.value === '' ? [] : lists.value.filter((name) => name.startsWith(text.value)).slice(0, 8)
  const close = (): void => dialog.current?.close()
  /** The Escape key closes it too. */
  const stop = (): void => {
    latest.current += 1
    latestForKey.current += 1
  }
  const mayBeKey = KEY_ID.test(text.value) && keySearch.value === undefined
  const goToPerson = (): void => {
    askedPerson.value = text.value
    goTo('people')
  }
  /** Waits for the search, because the user may press Enter before its answer. Prefers an app, then a list, a request, a key. */
  const choose = async (): Promise<void> => {
    await searching.current
    if (dialog.current?.open !== true) return
    const [app] = apps.value ?? []
    const [list] = alike
    if (app !== undefined || list !== undefined) {
      close()
      if (app !== undefined) goTo('apps', app.appId)
      else goTo('lists', list ?? '')
      return
    }
    // Ids that are generated for requests are longer than most ids of keys.
    if (mayBeKey && !(mayBeRequest && text.value.length >= GENERATED)) {
      await searchKeys()
      const { isOver = false, apps: holders = [] } = keySearch.value ?? {}
      // It is not over if the palette was closed meanwhile.
      if (!isOver || holders.length > 0) return
    }
    if (!mayBeRequest && !mayBePerson) return
    close()
    if (mayBeRequest) goTo('requests', text.value)
    else goToPerson()
  }
  return (
    <>
      <button type="button" class="plain" onClick={open} title="Ctrl+K">
        Go to…
      </button>
      <dialog ref={dialog} aria-label="Go to" class="palette" onClose={stop}>
        <form
          onSubmit={(event) => {
            event.preventDefault()
            void choose()
          }}
        >
          <label for="palette">App, list, request, person or key</label>
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
          {alike.map((name) => (
            <li key={name}>
              <a href={linkTo('lists', name)} onClick={close}>
                List <span class="id">{name}</span>
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
          {mayBePerson && (
            <li>
              <a
                href={linkTo('people')}
                onClick={() => {
                  close()
                  goToPerson()
                }}
              >
                Access report of <span class="id">{text.value}</span>
              </a>
            </li>
          )}
          {keySearch.value?.apps.map((appId) => (
            <li key={`key of ${appId}`}>
              <a href={linkTo('apps', appId)} onClick={close}>
                Key <span class="id">{keySearch.value?.id}</span> of <span class="id">{appId}</span>
              </a>
            </li>
          ))}
          {mayBeKey && (
            <li>
              <button type="button" class="plain" onClick={() => void searchKeys()}>
                <span>
                  Search all apps for a key <span class="id">{text.value}</span>
                </span>
              </button>
            </li>
          )}
        </ul>
        {keySearch.value && <p role="status">{wordsOfSearch(keySearch.value)}</p>}
        {apps.value?.length === 0 && alike.length === 0 && keySearch.value === undefined && (
          <p role="status">No app ID starts with “{text.value}”.</p>
        )}
        <div class="buttons">
          <button type="button" onClick={close}>
            Close
          </button>
        </div>
      </dialog>
    </>
  )
}

/** A search for a key. */
interface KeySearch {
  readonly id: string
  /** The apps that have it. */
  readonly apps: readonly string[]
  /** How many apps have keys that could not be read. */
  readonly unread: number
  readonly isOver: boolean
}

function wordsOfSearch({ id, apps, unread, isOver }: KeySearch): string {
  if (!isOver) return 'Searching…'
  const found = apps.length === 0 ? `No app has a key “${id}”.` : `Found in ${count(apps.length, 'app')}.`
  return unread === 0 ? found : `${found} The keys of ${count(unread, 'app')} could not be read.`
}
