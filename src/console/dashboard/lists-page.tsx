import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { ListPage, ListsView } from '../contract.ts'
import { ask, may } from './api.ts'
import { tell, tellRefusal, wordsOf } from './message.ts'
import { goTo, linkTo } from './route.ts'
import { Heading } from './shell/heading.tsx'
import { count, timeOf } from './words.ts'

/** Named lists of addresses, which the policies of many apps share. */
export function ListsPage(): JSX.Element {
  const view = useSignal<ListsView | undefined>(undefined)
  const name = useSignal('')
  useEffect(() => {
    ask<ListsView>('GET', 'lists').then((answer) => {
      view.value = answer
    }, tellRefusal)
  }, [])
  const make = async (event: Event): Promise<void> => {
    event.preventDefault()
    try {
      await ask('PUT', `lists/${encodeURIComponent(name.value.trim())}`, { body: {}, revision: 0 })
      goTo('lists', name.value.trim())
    } catch (error) {
      tellRefusal(error)
    }
  }
  return (
    <main class="page">
      <Heading>Named lists</Heading>
      {view.value?.lists.length === 0 && (
        <p class="card empty">No lists yet. Many apps can share one list.</p>
      )}
      {view.value && view.value.lists.length > 0 && (
        <div class="card table-card">
          <table>
            <thead>
              <tr>
                <th scope="col">List</th>
                <th scope="col">Entries</th>
                <th scope="col" class="wide-only">
                  Last changed
                </th>
              </tr>
            </thead>
            <tbody>
              {view.value.lists.map((list) => (
                <tr key={list.name}>
                  <th scope="row">
                    <a href={linkTo('lists', list.name)}>{list.name}</a>
                  </th>
                  <td>{list.size.toLocaleString('en')}</td>
                  <td class="wide-only">
                    {timeOf(list.at)} {list.author}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {may('widen') && may('narrow') && (
        <form class="card" onSubmit={(event) => void make(event)}>
          <label for="list-name">Name of the new list</label>
          <div class="row">
            <input
              id="list-name"
              required
              spellcheck={false}
              value={name.value}
              onInput={(event) => {
                name.value = event.currentTarget.value
              }}
            />
            <button type="submit">Create list</button>
          </div>
        </form>
      )}
    </main>
  )
}

const AT_ONCE = 100

/** One list, in pages, because it may have a million entries. */
export function OneList({ name }: { name: string }): JSX.Element {
  const page = useSignal<ListPage | undefined>(undefined)
  const find = useSignal('')
  const refusal = useSignal('')
  const text = useSignal('')
  const path = `lists/${encodeURIComponent(name)}`
  const show = async (from: number): Promise<void> => {
    const query = new URLSearchParams({
      from: String(from),
      limit: String(AT_ONCE),
      ...(find.value && { find: find.value }),
    })
    try {
      page.value = await ask<ListPage>('GET', `${path}?${query}`)
    } catch (error) {
      refusal.value = wordsOf(error)
    }
  }
  useEffect(() => void show(0), [name])
  const change = async (body: { add?: string; remove?: string[] }, done: string): Promise<boolean> => {
    refusal.value = ''
    try {
      await ask('PUT', path, { body, revision: page.value?.revision ?? 0 })
      tell(done)
      await show(page.value?.from ?? 0)
      return true
    } catch (error) {
      refusal.value = wordsOf(error)
      return false
    }
  }
  const { value } = page
  const canEdit = may('widen') && may('narrow')
  return (
    <main class="page">
      <p class="crumbs">
        <a href={linkTo('lists')}>Named lists</a>
      </p>
      <Heading>{name}</Heading>
      {refusal.value !== '' && (
        <p class="note refused" role="alert">
          {refusal.value}
        </p>
      )}
      {value && (
        <section class="card" aria-label="Entries">
          <form
            class="row"
            onSubmit={(event) => {
              event.preventDefault()
              void show(0)
            }}
          >
            <input
              type="search"
              aria-label="Find in the list"
              placeholder={`Find in ${count(value.size, 'entry', 'entries')}`}
              value={find.value}
              onInput={(event) => {
                find.value = event.currentTarget.value.trim()
              }}
            />
            <button type="submit">Find</button>
          </form>
          <p class="quiet" role="status">
            {value.entries.length === 0
              ? 'No entries.'
              : `Entries ${(value.from + 1).toLocaleString('en')} to ${(value.from + value.entries.length).toLocaleString('en')}`}
          </p>
          <ul class="entries whole">
            {value.entries.map(({ range, note, owner, expires }) => (
              <li key={range}>
                <code>{range}</code>
                <span class="quiet grow">
                  {[note, owner, expires && `until ${timeOf(expires)}`].filter(Boolean).join(' · ')}
                </span>
                {canEdit && (
                  <button
                    type="button"
                    class="plain"
                    aria-label={`Remove ${range}`}
                    onClick={() => void change({ remove: [range] }, `${range} is removed.`)}
                  >
                    Remove
                  </button>
                )}
              </li>
            ))}
          </ul>
          <nav class="pager" aria-label="Pages of entries">
            {value.from > 0 && (
              <button type="button" onClick={() => void show(Math.max(0, value.from - AT_ONCE))}>
                Previous
              </button>
            )}
            {value.next !== undefined && (
              <button type="button" onClick={() => void show(value.next ?? 0)}>
                Next
              </button>
            )}
          </nav>
        </section>
      )}
      {value && canEdit && (
        <form
          class="card"
          onSubmit={(event) => {
            event.preventDefault()
            void change({ add: text.value }, 'Entries added. They are in force.').then((isTaken) => {
              if (isTaken) text.value = ''
            })
          }}
        >
          <label for="list-add">Add ranges, one per line; text after # is a note</label>
          <textarea
            id="list-add"
            class="mono"
            rows={4}
            required
            spellcheck={false}
            placeholder="e.g. 192.0.2.0/24 # the office"
            value={text.value}
            onInput={(event) => {
              text.value = event.currentTarget.value
            }}
          />
          <p class="quiet">
            Lists have no draft. Changes take effect within seconds in every app that uses the list.
          </p>
          <div class="buttons">
            <button type="submit" class="main">
              Add entries
            </button>
          </div>
        </form>
      )}
    </main>
  )
}
