import type { JSX } from 'preact'
import type { Change } from '../../contract.ts'
import { titleOf } from '../words.ts'

/** The changes in words, grouped by protection. */
export function Changes({ changes }: { changes: readonly Change[] }): JSX.Element {
  const groups = new Map<string, Change[]>()
  for (const change of changes) {
    const section = change.path.split('.')[0] ?? ''
    groups.set(section, [...(groups.get(section) ?? []), change])
  }
  return (
    <dl class="changes">
      {[...groups].map(([section, members]) => (
        <div key={section}>
          <dt>{titleOf(section)}</dt>
          {members.map(({ path, sentence, added, removed }) => (
            <dd key={path}>
              {sentence[0]?.toUpperCase() + sentence.slice(1)}
              {/^(?:adds|removes) /.test(sentence) && (
                <ul class="entries-changed">
                  {removed.map((entry) => (
                    <li key={`-${entry}`} class="removed">
                      <span aria-hidden="true">− </span>
                      <span class="hidden">removed </span>
                      {entry}
                    </li>
                  ))}
                  {added.map((entry) => (
                    <li key={`+${entry}`} class="added">
                      <span aria-hidden="true">+ </span>
                      <span class="hidden">added </span>
                      {entry}
                    </li>
                  ))}
                </ul>
              )}
            </dd>
          ))}
        </div>
      ))}
    </dl>
  )
}
