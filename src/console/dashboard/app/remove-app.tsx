import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import type { AppView } from '../../contract.ts'
import { appPath, ask, may } from '../api.ts'
import { tell, tellRefusal } from '../message.ts'
import { goTo } from '../route.ts'

/** Removes the app. The user must type its id. */
export function RemoveApp({
  app: { appId, revision },
}: {
  app: Pick<AppView, 'appId' | 'revision'>
}): JSX.Element | null {
  const typed = useSignal('')
  const note = useSignal('')
  if (!may('narrow') || !may('keys')) return null
  const remove = async (event: Event): Promise<void> => {
    event.preventDefault()
    try {
      await ask('DELETE', appPath(appId), {
        body: { appId: typed.value, ...(note.value && { note: note.value }) },
        revision,
      })
      tell(`${appId} is removed.`)
      goTo()
    } catch (error) {
      tellRefusal(error)
    }
  }
  return (
    <details class="card more">
      <summary>Remove this app</summary>
      <form onSubmit={(event) => void remove(event)}>
        <p>
          All its requests will be refused, its keys are destroyed and its draft is discarded. Its history is
          kept.
        </p>
        <label for="remove-id">Type {appId} to confirm</label>
        <input
          id="remove-id"
          class="mono"
          required
          spellcheck={false}
          autocomplete="off"
          value={typed.value}
          onInput={(event) => {
            typed.value = event.currentTarget.value
          }}
        />
        <label for="remove-note">Reason (kept in the history)</label>
        <input
          id="remove-note"
          maxLength={1000}
          value={note.value}
          onInput={(event) => {
            note.value = event.currentTarget.value
          }}
        />
        <div class="buttons">
          <button type="submit" class="danger main" disabled={typed.value !== appId}>
            Remove app
          </button>
        </div>
      </form>
    </details>
  )
}
