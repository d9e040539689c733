import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useRef } from 'preact/hooks'
import type { EntryVerdict, EntryVerdicts } from '../../contract.ts'
import { splitPaste } from '../../split-paste.ts'
import { appPath, ask } from '../api.ts'
import { wordsOf } from '../message.ts'
import { count } from '../words.ts'
import { AT_ONCE, Verdicts } from './verdicts.tsx'

interface ListProps {
  readonly appId: string
  /** A path such as `ipWhitelist.ranges`. */
  readonly path: string
  /** The word for one entry. */
  readonly one: string
  readonly entries: readonly unknown[]
  /** What it means if there are no entries. */
  readonly empty: string
  readonly example: string
  readonly canEdit: boolean
  change(entries: (before: readonly unknown[]) => readonly unknown[]): Promise<boolean>
}

/** From this length on, in characters, a paste is inserted into the field at once. */
const LONG_PASTE = 2_000
/** A longer text is not shown in the field, which would take Chromium a fifth of a second for 5,000 lines. */
const MOST_SHOWN = 20_000

/** The entries of a list, a field to filter them, and a field to add one entry or to paste thousands. */
export function ListEditor(props: ListProps): JSX.Element {
  const { entries, one, canEdit, change } = props
  const filter = useSignal('')
  const shown = useSignal(AT_ONCE)
  const found =
    filter.value === ''
      ? entries
      : entries.filter((entry) => textOf(entry).toLowerCase().includes(filter.value.toLowerCase()))
  return (
    <div class="list">
      {entries.length === 0 && <p class="empty">{props.empty}</p>}
      {entries.length > 10 && (
        <label class="filter">
          <span class="hidden">Filter the {one}s</span>
          <input
            type="search"
            placeholder={`Filter ${count(entries.length, one)}`}
            value={filter.value}
            onInput={(event) => {
              filter.value = event.currentTarget.value.trim()
              shown.value = AT_ONCE
            }}
          />
        </label>
      )}
      <ul class="entries" {...(canEdit ? {} : { tabIndex: 0 })}>
        {found.slice(0, shown.value).map((entry) => (
          <li key={keyOf(entry)}>
            <code>{textOf(entry)}</code>
            {isExact(entry) && <span class="badge">exact</span>}
            {canEdit && (
              <button
                type="button"
                class="plain"
                aria-label={`Remove ${textOf(entry)}`}
                onClick={() =>
                  void change((before) => before.filter((other) => keyOf(other) !== keyOf(entry)))
                }
              >
                Remove
              </button>
            )}
          </li>
        ))}
      </ul>
      {found.length > shown.value && (
        <button
          type="button"
          class="plain"
          onClick={() => {
            shown.value += 200
          }}
        >
          Show more ({(found.length - shown.value).toLocaleString('en')} left)
        </button>
      )}
      {canEdit && <Adding {...props} />}
    </div>
  )
}

function Adding({ appId, path, one, example, change }: ListProps): JSX.Element {
  const text = useSignal('')
  const exact = useSignal(false)
  const verdicts = useSignal<EntryVerdicts | undefined>(undefined)
  const refusal = useSignal('')
  const id = `add-${path.replace('.', '-')}`
  const add = useRef<HTMLButtonElement>(null)

  const take = async (entries: readonly EntryVerdict[], judged = text.value): Promise<void> => {
    const added = entries.map(({ canonical }) => canonical)
    const left = (verdicts.value?.entries ?? []).filter(
      (entry) => entry.verdict !== 'known' && !entries.includes(entry),
    )
    const taken = await change((before) => {
      const known = new Set(before.map(keyOf))
      return [...before, ...added.filter((entry) => !known.has(keyOf(entry)))]
    })
    if (!taken) return
    // What was typed meanwhile stays.
    if (text.value === judged) text.value = asText(left.map((entry) => entry.text))
    verdicts.value = undefined
  }
  const judge = async (given: string): Promise<void> => {
    refusal.value = ''
    if (given.trim() === '') return
    try {
      const answer = await ask<EntryVerdicts>('POST', appPath(appId, '/entries'), {
        body: { list: path, text: given, ...(exact.value && { exact: true }) },
      })
      verdicts.value = answer
      // A single valid entry needs no review.
      if (answer.entries.length === 1 && answer.entries[0]?.verdict === 'good')
        await take(answer.entries, given)
    } catch (error) {
      refusal.value = wordsOf(error)
    }
  }
  return (
    <form
      class="adding"
      onSubmit={(event) => {
        event.preventDefault()
        void judge(text.value)
      }}
    >
      <label for={id}>Add {one}s: type one or paste many</label>
      <div class="row">
        {text.value.length > MOST_SHOWN ? (
          <output id={id} class="held">
            {count(text.value.trim().split('\n').length, 'line')} pasted.{' '}
            <button
              type="button"
              class="plain"
              onClick={() => {
                text.value = ''
                verdicts.value = undefined
              }}
            >
              Discard
            </button>
          </output>
        ) : (
          <textarea
            id={id}
            rows={text.value.includes('\n') ? 5 : 1}
            spellcheck={false}
            placeholder={`e.g. ${example}`}
            value={text.value}
            onInput={(event) => {
              text.value = event.currentTarget.value
              verdicts.value = undefined
            }}
            onPaste={(event) => {
              const pasted = event.clipboardData?.getData('text/plain') ?? ''
              if (pasted.length < LONG_PASTE) return
              // The browser itself would insert thousands of lines one by one.
              event.preventDefault()
              const { value, selectionStart, selectionEnd } = event.currentTarget
              text.value = value.slice(0, selectionStart) + pasted + value.slice(selectionEnd)
              verdicts.value = undefined
              if (text.value.length > MOST_SHOWN) add.current?.focus()
            }}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
              event.preventDefault()
              void judge(text.value)
            }}
          />
        )}
        <button type="submit" ref={add}>
          Add
        </button>
      </div>
      {path === 'returnUrlGuard.urls' && (
        <label class="check">
          <input
            type="checkbox"
            checked={exact.value}
            onChange={(event) => {
              exact.value = event.currentTarget.checked
            }}
          />
          Match this URL exactly, without paths below it
        </label>
      )}
      {refusal.value !== '' && (
        <p class="note refused" role="alert">
          {refusal.value}
        </p>
      )}
      {verdicts.value && (
        <Verdicts
          verdicts={verdicts.value}
          one={one}
          take={take}
          correct={(wrong, right) => {
            const entries = verdicts.value?.entries ?? []
            const texts = entries.map((entry) => (entry === wrong ? right : entry.text))
            text.value = asText(texts)
            void judge(text.value)
          }}
        />
      )}
    </form>
  )
}

/** Entries as a text to add: lines, unless these would be read as other entries. Then a JSON array, which can have any. */
function asText(texts: readonly string[]): string {
  const lines = texts.join('\n')
  const read = splitPaste(lines)
  const isSame = read.length === texts.length && read.every((one, index) => one === texts[index])
  return isSame ? lines : JSON.stringify(texts)
}

const keyOf = (entry: unknown): string => JSON.stringify(entry)

function isExact(entry: unknown): boolean {
  return typeof entry === 'object'
}

function textOf(entry: unknown): string {
  return typeof entry === 'string' ? entry : ((entry as { exact?: string }).exact ?? '')
}
