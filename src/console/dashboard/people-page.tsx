import { signal, useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import type { AccessReportView } from '../contract.ts'
import { ask, may, session } from './api.ts'
import { wordsOf } from './message.ts'
import { Heading } from './shell/heading.tsx'
import { Scroll } from './shell/scroll.tsx'
import { count, timeOf } from './words.ts'

/** Access reports, as far as the console offers them to the user. */
export function PeoplePage(): JSX.Element {
  const isOffered = session.value?.offers.reports === true
  if (isOffered && may('look-at-personal-data')) return <ReportForm />
  return (
    <main class="page">
      <Heading>Access report</Heading>
      <p class="card">
        {isOffered ? (
          'You do not have the right to view personal data.'
        ) : (
          <>
            This console does not create access reports, because it was created without the option{' '}
            <code>accessReport</code>.
          </>
        )}
      </p>
    </main>
  )
}

/** The person of the form. Not a part of the address of the page, because browsers keep addresses. */
export const askedPerson = signal('')

/** A report, and what was asked. */
type Made = AccessReportView & { readonly person: string; readonly note: string }

/** A report for a person about who has read their data. */
function ReportForm(): JSX.Element {
  const person = askedPerson
  const purpose = useSignal('')
  const report = useSignal<Made | undefined>(undefined)
  const refusal = useSignal('')
  useEffect(
    () => () => {
      person.value = ''
    },
    [],
  )
  const make = async (event: Event): Promise<void> => {
    event.preventDefault()
    refusal.value = ''
    report.value = undefined
    try {
      const asked = { person: person.value.trim(), note: purpose.value }
      report.value = { ...asked, ...(await ask<AccessReportView>('POST', 'access-report', { body: asked })) }
    } catch (error) {
      refusal.value = wordsOf(error)
    }
  }
  return (
    <main class="page">
      <Heading>Access report</Heading>
      <form class="card no-print" onSubmit={(event) => void make(event)}>
        <p>Shows who has read a person's data, when and why. Your request is recorded.</p>
        <label for="person">Person</label>
        <input
          id="person"
          class="mono"
          required
          maxLength={512}
          spellcheck={false}
          autocomplete="off"
          aria-describedby="person-help"
          value={person.value}
          onInput={(event) => {
            person.value = event.currentTarget.value
          }}
        />
        <p class="quiet" id="person-help">
          The ID of the person, or what else this server finds people by, such as an email address.
        </p>
        <label for="purpose">Purpose of the report</label>
        <input
          id="purpose"
          required
          minLength={5}
          maxLength={1000}
          value={purpose.value}
          onInput={(event) => {
            purpose.value = event.currentTarget.value
          }}
        />
        {refusal.value !== '' && (
          <p class="note refused" role="alert">
            {refusal.value}
          </p>
        )}
        <div class="buttons">
          <button type="submit" class="main">
            Create report
          </button>
        </div>
      </form>
      {report.value && <Report report={report.value} />}
    </main>
  )
}

function Report({
  report: { person, note, generated, accesses, recipients, fields, isComplete },
}: {
  report: Made
}): JSX.Element {
  const sums = Object.entries(fields)
  return (
    <section class="card" aria-labelledby="report-title">
      <div class="card-head">
        <div>
          <h2 id="report-title">Accesses to personal data</h2>
          <p class="quiet" role="status">
            {count(accesses.length, 'access', 'accesses')}, as of {timeOf(generated)}
            {isComplete === false && '. Only the newest events were searched: older accesses are left out.'}
          </p>
        </div>
        <button type="button" class="no-print" onClick={() => print()}>
          Print
        </button>
      </div>
      <p>
        Person: <strong>{person}</strong>. Purpose of this report: {note}. Times are in{' '}
        {Intl.DateTimeFormat().resolvedOptions().timeZone}.
      </p>
      {recipients.length > 0 && <p>Apps that received data: {recipients.join(', ')}.</p>}
      {sums.length > 0 && (
        <p>Reads per field: {sums.map(([name, number]) => `${name} ${number}`).join(', ')}.</p>
      )}
      {accesses.length > 0 && (
        <Scroll label="Accesses">
          <table>
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">App and operation</th>
                <th scope="col">What</th>
                <th scope="col">Purpose</th>
              </tr>
            </thead>
            <tbody>
              {accesses.slice(0, MOST_SHOWN).map((access, index) => (
                <tr key={index}>
                  <th scope="row">{timeOf(access.time)}</th>
                  <td>
                    {access.appId ?? 'no app'}
                    <code class="block">{access.operation}</code>
                  </td>
                  <td>{[access.action, ...Object.keys(access.fields)].filter(Boolean).join(', ')}</td>
                  <td>{access.purpose ?? 'not stated'}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {accesses.length > MOST_SHOWN && (
        <p class="quiet">
          Only the first {MOST_SHOWN.toLocaleString('en')} are shown. Run `portcullis audit subject` for all
          of them.
        </p>
      )}
    </section>
  )
}

const MOST_SHOWN = 2_000
