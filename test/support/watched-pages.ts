import type { BrowserContext } from 'playwright-core'

/**
 * Records what no page of a context may do: errors and warnings on the console, uncaught errors, and violations of the
 * Content Security Policy. Other messages of Chromium are ignored, such as that about input before the page has moved
 * the focus. Chromium reports answers with a status of 400 or more as errors. Those with a status in `refusals` are
 * ignored.
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
