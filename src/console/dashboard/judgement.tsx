import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { JudgementView, MissingEntry, NewDecision } from '../contract.ts'
import { appPath, ask, may } from './api.ts'
import { curlOf } from './app/written-request.ts'
import { tell, tellRefusal, wordsOf } from './message.ts'
import { Prose } from './prose.tsx'
import { linkTo } from './route.ts'
import { Scroll } from './shell/scroll.tsx'
import { detailOf, kindOf, titleOf } from './words.ts'

/** A recorded request, judged again with the policy in force and with the draft. */
export function Judgement({ requestId, operation }: { requestId: string; operation: string }): JSX.Element {
  const view = useSignal<JudgementView | undefined>(undefined)
  const refusal = useSignal('')
  const judge = async (): Promise<void> => {
    try {
      view.value = await ask<JudgementView>('GET', `requests/${encodeURIComponent(requestId)}/judgement`)
    } catch (error) {
      refusal.value = wordsOf(error)
    }
  }
  useEffect(() => void judge(), [requestId])
  const { value } = view
  if (value === undefined) return <p class={refusal.value === '' ? 'quiet' : 'note'}>{refusal.value}</p>
  const { appId, call, missing, hasDraft, revision, kept, decisions } = value
  return (
    <section class="card" aria-labelledby="again-title">
      <div class="card-head">
        <div>
          <h2 id="again-title">Judged again</h2>
          <p class="quiet">
            With revision {revision}, which is in force{hasDraft && ', and with the draft'}.
          </p>
        </div>
        <button type="button" onClick={() => void copy(curlOf(operation, call, appId))}>
          Copy as curl
        </button>
      </div>
      {kept !== 'kept' && (
        <p class="note">
          {kept === 'sealed'
            ? 'The recorded facts are sealed with another key.'
            : 'The facts that the guards decided on were not recorded.'}
        </p>
      )}
      {kept === 'kept' && <Call call={call} />}
      <Scroll label="Decisions now">
        <table>
          <thead>
            <tr>
              <th scope="col">Protection</th>
              <th scope="col">Then</th>
              <th scope="col">Now</th>
              {hasDraft && <th scope="col">With the draft</th>}
            </tr>
          </thead>
          <tbody>
            {decisions.map(({ guard, recorded, now, draft = 'unknown' }) => (
              <tr key={guard}>
                <th scope="row">{titleOf(guard)}</th>
                <td>
                  <code>{recorded}</code>
                </td>
                <Decided decision={now} />
                {hasDraft && <Decided decision={draft} />}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {missing.length > 0 && (
        <ul class="entries whole">
          {missing.map((entry) => (
            <li key={entry.list}>
              <span class="grow">
                {titleOf(entry.guard)} has no entry for <code>{entry.entry}</code>
                {entry.refused && (
                  <span class="quiet block">
                    It cannot be an entry: <Prose text={entry.refused} />
                  </span>
                )}
                {entry.nearest && (
                  <span class="quiet block">
                    Nearest entry: <code>{entry.nearest.entry}</code> <Prose text={entry.nearest.text} />
                  </span>
                )}
              </span>
              {entry.refused === undefined && may('narrow', 'widen', 'break-glass') && (
                <button
                  type="button"
                  aria-label={`Add to draft: ${entry.entry}`}
                  onClick={() => void add(appId, entry).then(judge)}
                >
                  Add to draft
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      {hasDraft && (
        <p>
          <a href={linkTo('apps', appId, 'review')}>Review the draft</a>
        </p>
      )}
    </section>
  )
}

const CALL_WORDS = {
  address: 'address',
  origin: 'Origin header',
  xOrigin: 'X-Origin header',
  returnUrl: 'return URL',
} as const

/** The recorded data of the call itself. */
function Call({ call }: { call: JudgementView['call'] }): JSX.Element {
  const members = Object.entries(CALL_WORDS) as [keyof typeof CALL_WORDS, string][]
  return (
    <ul aria-label="The call">
      {members.map(([name, words]) => (
        <li key={name}>
          {words}: {call[name] === undefined ? 'none recorded' : <code>{call[name]}</code>}
        </li>
      ))}
    </ul>
  )
}

function Decided({ decision }: { decision: NewDecision }): JSX.Element {
  if (decision === 'unknown') return <td class="quiet">not known</td>
  const { code } = decision
  return (
    <td>
      <span class={`badge first ${kindOf(decision)}`}>{code}</span>
      <span class="quiet block">
        <Prose text={detailOf(decision)} />
      </span>
    </td>
  )
}

/** Adds an entry to the draft. It takes effect only when the draft is published. */
async function add(appId: string, { list, entry }: MissingEntry): Promise<void> {
  const added = list === 'returnUrlGuard.urls' ? { exact: entry } : entry
  try {
    await ask('POST', appPath(appId, '/draft/edits'), { body: { edits: [{ path: list, add: [added] }] } })
    tell(`${entry} is in the draft. It takes effect when you publish.`)
  } catch (error) {
    tellRefusal(error)
  }
}

async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    tell('curl command copied.')
  } catch {
    tell(`The browser blocked copying. This is the command: ${text}`)
  }
}
