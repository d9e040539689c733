/** Text that is already HTML and is not escaped. */
export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** A value in a template. `undefined` and `false` print nothing. */
export type Part = Html | string | false | undefined | readonly Part[]

/** A template tag that escapes every value except `Html`. */
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
