import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { AppView, RequestRow, RequestRows, TrafficView } from '../../contract.ts'
import { appPath, ask, may, urlOf } from '../api.ts'
import { tellRefusal } from '../message.ts'
import { Prose } from '../prose.tsx'
import { linkTo } from '../route.ts'
import { clockOf, count, OLDER_LEFT_OUT, timeOf, titleOf } from '../words.ts'
import { Scroll } from '../shell/scroll.tsx'

/** The decisions about the requests of the app: by hour, by reason, and one by one. */
export function Requests({ app }: { app: AppView }): JSX.Element {
  const traffic = useSignal<TrafficView | undefined>(undefined)
  const rows = useSignal<readonly RequestRow[] | undefined>(undefined)
  const show = async (): Promise<void> => {
    try {
      traffic.value = await ask<TrafficView>('GET', appPath(app.appId, '/traffic'))
      if (may('look-at-personal-data'))
        rows.value = (await ask<RequestRows>('GET', appPath(app.appId, '/requests'))).rows
    } catch (error) {
      tellRefusal(error)
    }
  }
  useEffect(() => void show(), [app.appId])
  const tail = useTail(app.appId, (fresh) => {
    rows.value = [...fresh, ...(rows.value ?? [])].slice(0, MOST_ROWS)
    if (traffic.value) traffic.value = withRows(traffic.value, fresh)
  })
  return (
    <>
      {traffic.value && <Hours traffic={traffic.value} />}
      <section class="card" aria-labelledby="requests-title">
        <div class="card-head">
          <div>
            <h2 id="requests-title">Recent requests</h2>
            <p class="quiet">Viewing requests is recorded in the audit.</p>
          </div>
          <div class="buttons">
            {may('look-at-personal-data') && (
              <button type="button" aria-pressed={tail.isOn} onClick={tail.turn}>
                {tail.isOn ? 'Pause' : 'Follow live'}
              </button>
            )}
            <button type="button" onClick={() => void show()}>
              Refresh
            </button>
          </div>
        </div>
        {!may('look-at-personal-data') && <p>You do not have the right to view single requests.</p>}
        <p role="status" class="quiet">
          {tail.words}
        </p>
        {rows.value?.length === 0 && (
          <p class="empty">
            No requests recorded yet. Is <code>auditAccess</code> mounted?
          </p>
        )}
        {rows.value && rows.value.length > 0 && (
          <>
            <Reasons rows={rows.value} />
            <Table rows={rows.value.slice(0, SHOWN_ROWS)} />
          </>
        )}
      </section>
    </>
  )
}

const HOUR = 3_600_000

/** The counts with requests that have arrived since. A new hour replaces the oldest one. */
function withRows(traffic: TrafficView, fresh: readonly RequestRow[]): TrafficView {
  let { hours } = traffic
  for (const { time, outcome, refusals } of fresh) {
    const at = new Date(Math.floor(Date.parse(time) / HOUR) * HOUR).toISOString()
    if (at > (hours.at(-1)?.at ?? at)) hours = [...hours.slice(1), { at, passed: 0, refused: 0, reported: 0 }]
    const kind = outcome === 'refused' ? 'refused' : refusals.length > 0 ? 'reported' : 'passed'
    hours = hours.map((hour) => (hour.at === at ? { ...hour, [kind]: hour[kind] + 1 } : hour))
  }
  return { ...traffic, hours }
}

/** How many requests are kept while following, and how many of them are drawn. */
const MOST_ROWS = 1_000
const SHOWN_ROWS = 100

interface Tail {
  readonly isOn: boolean
  readonly words: string
  turn(): void
}

/** Requests as they arrive. Drawn once per frame. A pause closes the stream. */
function useTail(appId: string, take: (fresh: readonly RequestRow[]) => void): Tail {
  const stream = useRef<EventSource | undefined>(undefined)
  const isOn = useSignal(false)
  const count = useSignal(0)
  const words = useSignal('')
  const stop = (why: string): void => {
    stream.current?.close()
    stream.current = undefined
    isOn.value = false
    words.value = why
  }
  useEffect(() => () => stream.current?.close(), [appId])
  const start = (): void => {
    const source = new EventSource(urlOf(appPath(appId, '/tail')))
    stream.current = source
    isOn.value = true
    count.value = 0
    words.value = 'Connecting…'
    source.addEventListener('open', () => (words.value = 'Following: nothing new yet.'))
    let waiting: RequestRow[] = []
    source.addEventListener('message', ({ data }: MessageEvent<string>) => {
      if (waiting.length === 0)
        requestAnimationFrame(() => {
          take(waiting)
          count.value += waiting.length
          words.value = `Following: ${count.value.toLocaleString('en')} new.`
          waiting = []
        })
      waiting = [JSON.parse(data) as RequestRow, ...waiting].slice(0, MOST_ROWS)
    })
    source.addEventListener('error', () => stop('The live stream has ended. Choose Follow live to continue.'))
  }
  return {
    isOn: isOn.value,
    words: words.value,
    turn: () => (isOn.value ? stop('Paused.') : start()),
  }
}

/** The requests of the last day, as bars and as a table for screen readers. */
function Hours({ traffic }: { traffic: TrafficView }): JSX.Element {
  const { hours } = traffic
  const most = Math.max(1, ...hours.map(({ passed, refused, reported }) => passed + refused + reported))
  const height = (number: number): number => (number * 76) / most
  const total = (kind: 'passed' | 'refused' | 'reported'): number =>
    hours.reduce((sum, hour) => sum + hour[kind], 0)
  return (
    <section class="card" aria-labelledby="hours-title">
      <h2 id="hours-title">The last 24 hours</h2>
      <p class="legend">
        <span class="good">{total('passed').toLocaleString('en')} passed</span>
        <span class="fair">{total('reported').toLocaleString('en')} would have been refused</span>
        <span class="danger">{total('refused').toLocaleString('en')} refused</span>
      </p>
      <svg viewBox="0 0 480 80" class="hours" preserveAspectRatio="none" aria-hidden="true">
        <line x1="0" y1="79" x2="480" y2="79" />
        {hours.map(({ at, passed, reported, refused }, index) => (
          <g key={at}>
            <rect
              class="good"
              x={index * 20 + 3}
              width={14}
              y={78 - height(passed)}
              height={height(passed)}
            />
            <rect
              class="fair"
              x={index * 20 + 3}
              width={14}
              y={78 - height(passed + reported)}
              height={height(reported)}
            />
            <rect
              class="danger"
              x={index * 20 + 3}
              width={14}
              y={78 - height(passed + reported + refused)}
              height={height(refused)}
            />
          </g>
        ))}
      </svg>
      <details class="more">
        <summary>Show as a table</summary>
        <Scroll label="Requests by hour">
          <table>
            <thead>
              <tr>
                <th scope="col">Hour</th>
                <th scope="col">Passed</th>
                <th scope="col">Would have been refused</th>
                <th scope="col">Refused</th>
              </tr>
            </thead>
            <tbody>
              {hours.map(({ at, passed, reported, refused }) => (
                <tr key={at}>
                  <th scope="row">{timeOf(at)}</th>
                  <td>{passed}</td>
                  <td>{reported}</td>
                  <td>{refused}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      </details>
      {!traffic.isComplete && <p class="quiet">{OLDER_LEFT_OUT}</p>}
    </section>
  )
}

/** Says that the guard only reports: the request passed it. */
const NOT_ENFORCED = ' in report mode'

/** Equal refusals as one line, so that an attack does not fill the list. */
function Reasons({ rows }: { rows: readonly RequestRow[] }): JSX.Element | null {
  type Reason = Pick<RequestRow['refusals'][number], 'guard' | 'mode' | 'code' | 'detail'>
  const reasons = new Map<string, Reason & { number: number }>()
  for (const { refusals } of rows) {
    for (const { guard, mode, code, detail } of refusals) {
      const key = `${guard} ${mode} ${code} ${detail}`
      const known = reasons.get(key) ?? { guard, mode, code, detail, number: 0 }
      reasons.set(key, { ...known, number: known.number + 1 })
    }
  }
  const sorted = [...reasons.values()].toSorted((a, b) => b.number - a.number).slice(0, 10)
  if (sorted.length === 0) return null
  return (
    <>
      <h3>Reasons for refusal</h3>
      <p class="quiet">In the newest {count(rows.length, 'request')}.</p>
      <ul class="reasons">
        {sorted.map(({ guard, mode, code, detail, number }) => (
          <li key={`${guard} ${mode} ${code} ${detail}`}>
            <span class={`badge first ${mode === 'enforce' ? 'danger' : 'fair'}`}>
              {number.toLocaleString('en')} ×
            </span>{' '}
            {titleOf(guard)}: <Prose text={detail} /> <code class="quiet">{code}</code>
            {mode === 'enforce' ? '' : NOT_ENFORCED}
          </li>
        ))}
      </ul>
    </>
  )
}

function Table({ rows }: { rows: readonly RequestRow[] }): JSX.Element {
  return (
    <Scroll label="Requests">
      <table>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Operation</th>
            <th scope="col">Result</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ requestId, time, operation, outcome, status, refusals }) => (
            <tr key={requestId}>
              <th scope="row">
                <a href={linkTo('requests', requestId)} title={timeOf(time)}>
                  {clockOf(time)}
                </a>
              </th>
              <td>
                <code>{operation}</code>
              </td>
              <td>
                <span
                  class={`badge first ${outcome === 'refused' ? 'danger' : refusals.length > 0 ? 'fair' : 'good'}`}
                >
                  {outcome} {status}
                </span>
                {refusals.map(({ guard, mode, code }) => (
                  <span key={guard} class="block">
                    <code>{code}</code>
                    {mode === 'enforce' ? '' : NOT_ENFORCED}
                  </span>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}
