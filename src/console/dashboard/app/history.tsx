import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { AppView, HistoryRow, HistoryView } from '../../contract.ts'
import { appPath, ask, may } from '../api.ts'
import { tell, tellRefusal } from '../message.ts'
import { load, reload } from '../open-app.ts'
import { rollBackTo } from './roll-back.tsx'
import { fromNow, timeOf } from '../words.ts'
import { Changes } from './changes.tsx'

export function History({
  app,
  isValid = true,
}: {
  app: Pick<AppView, 'appId' | 'revision'>
  /** Whether servers can use the policy of the current revision. */
  isValid?: boolean
}): JSX.Element {
  const rows = useSignal<readonly HistoryRow[]>([])
  const next = useSignal<number | undefined>(undefined)
  const show = async (before?: number): Promise<void> => {
    try {
      const query = before === undefined ? '' : `?before=${before}`
      const page = await ask<HistoryView>('GET', appPath(app.appId, `/history${query}`))
      rows.value = before === undefined ? page.rows : [...rows.value, ...page.rows]
      next.value = page.next
      // Somebody has published or removed the app since the page was loaded.
      if (before === undefined && page.rows[0]?.revision !== app.revision) await reload()
    } catch (error) {
      tellRefusal(error)
    }
  }
  useEffect(() => void show(), [app.appId, app.revision])

  const rollBack = async (to: number): Promise<void> => {
    const { appId, revision: replaced } = app
    const revision = await rollBackTo(appId, to, replaced)
    if (revision !== undefined) tell(`Revision ${revision} is in force. It restores revision ${to}.`)
    await load(appId).catch(tellRefusal)
  }
  return (
    <section class="card" aria-labelledby="history-title">
      <h2 id="history-title">History</h2>
      <p class="quiet">A rollback restores the policy of a revision. Keys stay as they are.</p>
      <ol class="history">
        {rows.value.map((row) => (
          <li key={row.revision}>
            <div class="card-head">
              <div>
                <h3>
                  Revision {row.revision}
                  {row.revision === app.revision && (
                    <span class={`badge ${isValid ? 'good' : 'danger'}`}>
                      {isValid ? 'in force' : 'not valid: refuses every request'}
                    </span>
                  )}
                </h3>
                <p class="quiet">
                  <time dateTime={row.at} title={timeOf(row.at)}>
                    {fromNow(row.at)}
                  </time>
                  {row.author && ` · ${row.author}`}
                </p>
              </div>
              {row.revision !== app.revision && !row.removed && may('narrow', 'widen', 'break-glass') && (
                <button
                  type="button"
                  aria-label={`Roll back to revision ${row.revision}`}
                  onClick={() => void rollBack(row.revision)}
                >
                  Roll back
                </button>
              )}
            </div>
            {row.note && <p class="said">{row.note}</p>}
            {row.removed && <p class="note danger">The app was removed.</p>}
            {row.changes.length > 0 && <Changes changes={row.changes} />}
            {row.keysChanged && row.changes.length === 0 && !row.removed && (
              <p class="quiet">Keys were changed.</p>
            )}
          </li>
        ))}
      </ol>
      {next.value !== undefined && (
        <button type="button" onClick={() => void show(next.value)}>
          Show older revisions
        </button>
      )}
    </section>
  )
}
