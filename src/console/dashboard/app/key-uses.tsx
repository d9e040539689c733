import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { AppView, KeyCallersView, KeyUsesView, KeyView } from '../../contract.ts'
import { appPath, ask, may, session } from '../api.ts'
import { tellRefusal } from '../message.ts'
import { Scroll } from '../shell/scroll.tsx'
import { count, fromNow, OLDER_LEFT_OUT, timeOf } from '../words.ts'

/** Shown while more than one key is valid: how many requests each has signed, and who still signs with it. */
export function KeyUses({ app, keys }: { app: AppView; keys: readonly KeyView[] }): JSX.Element | null {
  const view = useSignal<KeyUsesView | undefined>(undefined)
  const good = keys.filter(({ state }) => state === 'active' || state === 'ending')
  const isShown = session.value?.offers.events === true && good.length > 1
  useEffect(() => {
    if (!isShown) return
    ask<KeyUsesView>('GET', appPath(app.appId, '/key-uses')).then((answer) => {
      view.value = answer
    }, tellRefusal)
  }, [app.appId, isShown, app.revision])
  if (!isShown || view.value === undefined) return null
  const { uses, isComplete } = view.value
  return (
    <section aria-labelledby="key-uses-title">
      <h3 id="key-uses-title">Who signs with which key</h3>
      <p class="quiet">{isComplete ? 'Signed requests of the last seven days.' : OLDER_LEFT_OUT}</p>
      <ul class="keys">
        {good.map(({ id }) => (
          <Use key={id} app={app} id={id} use={uses.find((use) => use.id === id)} isComplete={isComplete} />
        ))}
      </ul>
    </section>
  )
}

function Use({
  app,
  id,
  use,
  isComplete,
}: {
  app: AppView
  id: string
  use: KeyUsesView['uses'][number] | undefined
  isComplete: boolean
}): JSX.Element {
  const callers = useSignal<KeyCallersView | undefined>(undefined)
  const look = async (): Promise<void> => {
    try {
      callers.value = await ask<KeyCallersView>(
        'GET',
        appPath(app.appId, `/keys/${encodeURIComponent(id)}/callers`),
      )
    } catch (error) {
      tellRefusal(error)
    }
  }
  return (
    <li>
      <div class="grow">
        <span class="id strong">{id}</span>
        <span class="quiet block">
          {use === undefined
            ? isComplete
              ? 'No requests in the last seven days.'
              : 'None of the newest requests.'
            : `${count(use.calls, 'request')}, the last one ${fromNow(use.lastUse)}`}
        </span>
      </div>
      {use !== undefined && may('look-at-personal-data') && callers.value === undefined && (
        <button type="button" aria-label={`Show callers of ${id}`} onClick={() => void look()}>
          Show callers
        </button>
      )}
      {callers.value && <Callers id={id} view={callers.value} />}
    </li>
  )
}

function Callers({ id, view }: { id: string; view: KeyCallersView }): JSX.Element {
  return (
    <Scroll label={`Callers of ${id}`}>
      <table>
        <thead>
          <tr>
            <th scope="col">Address</th>
            <th scope="col">Operation</th>
            <th scope="col">Requests</th>
            <th scope="col">Last</th>
          </tr>
        </thead>
        <tbody>
          {view.callers.map(({ address, isPseudonym, operation, calls, lastUse }) => (
            <tr key={`${address} ${operation}`}>
              <th scope="row">
                <code>{address ?? 'unknown'}</code>
                {isPseudonym && <span class="quiet block">pseudonym</span>}
              </th>
              <td>
                <code>{operation}</code>
              </td>
              <td>{calls.toLocaleString('en')}</td>
              <td>{timeOf(lastUse)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}
