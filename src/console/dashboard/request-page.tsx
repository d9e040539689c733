import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { RequestView } from '../contract.ts'
import { ask, session } from './api.ts'
import { Judgement } from './judgement.tsx'
import { wordsOf } from './message.ts'
import { Prose } from './prose.tsx'
import { linkTo } from './route.ts'
import { Heading } from './shell/heading.tsx'
import { detailOf, evidenceOf, kindOf, timeOf, titleOf } from './words.ts'
import { Scroll } from './shell/scroll.tsx'

type OperationDecisions = Extract<RequestView['events'][number], { kind: 'operation' }>['decisions']

/** The record of one request. The `instance` of a refusal leads here. */
export function RequestPage({ requestId }: { requestId: string }): JSX.Element {
  const view = useSignal<RequestView | undefined>(undefined)
  const refusal = useSignal('')
  useEffect(() => {
    view.value = undefined
    refusal.value = ''
    ask<RequestView>('GET', `requests/${encodeURIComponent(requestId)}`).then(
      (answer) => {
        view.value = answer
      },
      (error: unknown) => {
        refusal.value = wordsOf(error)
      },
    )
  }, [requestId])
  const operation = view.value?.events.find((event) => event.kind === 'operation')
  const reads = view.value?.events.filter((event) => event.kind === 'field') ?? []
  return (
    <main class="page">
      <p class="crumbs">
        <a href={linkTo()}>Apps</a>
        {operation?.appId && (
          <>
            {' / '}
            <a href={linkTo('apps', operation.appId, 'requests')}>{operation.appId}</a>
          </>
        )}
      </p>
      <Heading>Request</Heading>
      <p class="id request-id">{requestId}</p>
      {refusal.value !== '' && <p class="note refused">{refusal.value}</p>}
      {operation && (
        <section class="card" aria-labelledby="request-title">
          <h2 id="request-title">
            <code>{operation.operation}</code>: {operation.outcome} {operation.status}
          </h2>
          <p class="quiet">
            {timeOf(operation.time)}
            {operation.revision !== undefined && ` · revision ${operation.revision}`}
            {operation.purpose !== undefined && ` · ${operation.purpose}`}
          </p>
          {operation.decisions.length === 0 ? (
            <p>No guard judged this request.</p>
          ) : (
            <Decisions decisions={operation.decisions} />
          )}
        </section>
      )}
      {operation?.appId !== undefined &&
        session.value?.offers.judgements &&
        operation.decisions.length > 0 && <Judgement requestId={requestId} operation={operation.operation} />}
      {reads.length > 0 && (
        <section class="card" aria-labelledby="reads-title">
          <h2 id="reads-title">Personal data read</h2>
          <ul>
            {reads.map((event) => (
              <li key={event.id}>
                <code>{event.field}</code> of person <code>{event.person}</code>
                {event.purpose && `: ${event.purpose}`}
              </li>
            ))}
          </ul>
        </section>
      )}
    </main>
  )
}

function Decisions({ decisions }: { decisions: OperationDecisions }): JSX.Element {
  return (
    <>
      <p class="quiet">
        The record keeps the route instead of the full path, because a path may contain personal data.{' '}
        {session.value?.offers.judgements
          ? 'What else was recorded of the call is shown below.'
          : 'Origin, address and return URL are kept only if the server is set up with a key for judging again.'}
      </p>
      <Scroll label="Decisions">
        <table>
          <thead>
            <tr>
              <th scope="col">Protection</th>
              <th scope="col">Decision</th>
              <th scope="col">Evidence</th>
            </tr>
          </thead>
          <tbody>
            {decisions.map((decision) => {
              const { guard, code, evidence } = decision
              return (
                <tr key={guard}>
                  <th scope="row">{titleOf(guard)}</th>
                  <td>
                    <span class={`badge first ${kindOf(decision)}`}>{code}</span>
                    <span class="quiet block">
                      <Prose text={detailOf(decision)} />
                    </span>
                  </td>
                  <td>
                    {Object.entries(evidence).map(([name, value]) => (
                      <code key={name} class="block">
                        {evidenceOf(name, value)}
                      </code>
                    ))}
                  </td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </Scroll>
    </>
  )
}
