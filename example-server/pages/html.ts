/** Text that is HTML already. */
export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** What may stand in a template; `undefined` and `false` stand for nothing. */
export type Part = Html | string | false | undefined | readonly Part[]

/** A template in which everything is escaped that is not `Html` itself. */
export function html(parts: TemplateStringsArray, ...values: readonly Part[]): Html {
  const text = parts.reduce(
    (sum, part, index) => sum + (index === 0 ? '' : render(values[index - 1])) + part,
    '',
  )
  return new Html(text)
}

function render(value: Part): string {
  if (value instanceof Html) return value.text
  if (value === undefined || value === false) return ''
  if (typeof value !== 'string') return value.map(render).join('')
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
