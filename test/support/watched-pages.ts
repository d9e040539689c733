import type { BrowserContext } from 'playwright-core'

/**
 * Writes down what no page of a context may do: errors and warnings on the console, errors that nothing catches, and what
 * the Content Security Policy stops. Notices of Chromium of other kinds are no faults of a page: it tells one where a test
 * types before the page has moved the focus. An answer of 400 or more is told by Chromium as an error; those with a status
 * in `refusals` are left out.
 */
export async function watchPages(
  context: BrowserContext,
  { refusals = [] }: { refusals?: readonly number[] } = {},
): Promise<string[]> {
  const wrong: string[] = []
  await context.exposeBinding('violated', (_source, what: string) => void wrong.push(`policy: ${what}`))
  await context.addInitScript(`addEventListener('securitypolicyviolation', (event) =>
    violated(event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sample))`)
  context.on('console', (line) => {
    if (line.type() !== 'error' && line.type() !== 'warning') return
    const status = /^Failed to load resource: the server responded with a status of (\d+)/.exec(
      line.text(),
    )?.[1]
    if (status === undefined || !refusals.includes(Number(status))) wrong.push(`console: ${line.text()}`)
  })
  context.on('weberror', (error) => wrong.push(`error: ${error.error().message}`))
  return wrong
}
