import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import type { EntryVerdict, EntryVerdicts } from '../../contract.ts'
import { Prose } from '../prose.tsx'
import { count } from '../words.ts'

/** How many entries or verdicts are shown at first. */
export const AT_ONCE = 50

const WORDS: Readonly<Record<EntryVerdict['verdict'], string>> = {
  good: 'valid',
  doubtful: 'doubtful',
  known: 'already covered',
  refused: 'refused',
}

const ORDER: readonly EntryVerdict['verdict'][] = ['refused', 'doubtful', 'known', 'good']

/** What the console says to each entry that is to be added. */
export function Verdicts({
  verdicts,
  one,
  take,
  correct,
}: {
  verdicts: EntryVerdicts
  one: string
  take(entries: readonly EntryVerdict[]): Promise<void>
  correct(wrong: EntryVerdict, right: string): void
}): JSX.Element {
  const good = verdicts.entries.filter(({ verdict }) => verdict === 'good' || verdict === 'doubtful')
  const sound = good.filter(({ verdict }) => verdict === 'good')
  const counts = ORDER.map((verdict) => ({
    verdict,
    number: verdicts.entries.filter((entry) => entry.verdict === verdict).length,
  })).filter(({ number }) => number > 0)
  const most = useSignal(AT_ONCE)
  const sorted = verdicts.entries.toSorted((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict))
  const shown = sorted.slice(0, most.value)
  return (
    <div class="verdicts" role="status">
      <p>
        {counts.map(({ verdict, number }) => `${number.toLocaleString('en')} ${WORDS[verdict]}`).join(' · ')}
      </p>
      <ul tabIndex={0} aria-label="Verdicts">
        {shown.map((entry, index) => {
          const { text, verdict, message, corrected } = entry
          return (
            <li key={index} class={verdict}>
              <code>{text.length > 200 ? `${text.slice(0, 200)}…` : text}</code>
              <span class={`badge ${verdict}`}>{WORDS[verdict]}</span>
              {message && (
                <span>
                  <Prose text={message} />
                </span>
              )}
              {corrected !== undefined && (
                <button type="button" class="plain" onClick={() => correct(entry, corrected)}>
                  {correctionWords(corrected)}
                </button>
              )}
            </li>
          )
        })}
      </ul>
      {sorted.length > shown.length && (
        <button
          type="button"
          class="plain"
          onClick={() => {
            most.value += 200
          }}
        >
          Show more verdicts ({(sorted.length - shown.length).toLocaleString('en')} left)
        </button>
      )}
      <div class="buttons">
        {sound.length > 0 && (
          <button
            type="button"
            class={sound.length === good.length ? 'main' : ''}
            onClick={() => void take(sound)}
          >
            Add the {count(sound.length, `valid ${one}`)}
          </button>
        )}
        {good.length > sound.length && (
          <button type="button" onClick={() => void take(good)}>
            Add {count(good.length, one)} ({(good.length - sound.length).toLocaleString('en')} doubtful)
          </button>
        )}
      </div>
    </div>
  )
}

/** A URL that must match exactly is written as `{"exact":"…"}` in a policy. */
function correctionWords(corrected: string): string {
  try {
    const { exact } = JSON.parse(corrected) as { exact?: unknown }
    if (typeof exact === 'string') return `Match ${exact} exactly`
  } catch {
    // Other corrections are not JSON.
  }
  return `Use ${corrected}`
}
