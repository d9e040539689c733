/**
 * Measures the console in a real Chromium, with 10,000 apps, a named list of 1,000,000 ranges and 10,000,000 audit
 * events in Redis: the longest task of the page's main thread in each interaction, the memory of the server, and the
 * load time of the first page compared with an empty page of the same server. Starts its own Redis, which needs about 7
 * GB for this number of events.
 *
 * Run it with `npm run bench:console`; `-- --events 1000000` makes a shorter run. Exits with 1 if a step fails, a task
 * of the main thread takes more than 200 ms, the server needs more than 512 MB, or the first page takes more than three
 * times as long as the empty page. Both are loaded without a browser cache, in a tab that shows another page of the same
 * server, and timed from the navigation to the first frame after their content.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { launchChromium } from '../test/support/chromium.ts'
import { startRedis } from '../test/support/redis.ts'
import { appName, fillApps, fillEvents, fillList } from './console/fill.ts'
import { atMost, header, line, median, told, type Row } from './store/table.ts'

const { values } = parseArgs({
  options: {
    apps: { type: 'string', default: '10000' },
    ranges: { type: 'string', default: '1000000' },
    events: { type: 'string', default: '10000000' },
  },
})
const [apps, ranges, events] = [Number(values.apps), Number(values.ranges), Number(values.events)]

const TOKEN = 'a token that only this benchmark uses'
/** The limit for the longest task of the main thread, in milliseconds. */
const LONGEST_TASK = 200
/** The limit for the memory of the server, in megabytes. */
const MOST_MEMORY = 512
/** The limit for the load time of the first page, relative to the empty page. */
const MOST_TIMES = 3
const PAGES = 11

/**
 * Records the longest task of the main thread, and when the content was painted: the first table row, or the text of
 * the empty page.
 */
const WATCH = `
  window.longest = 0
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration)
  }).observe({ type: 'longtask', buffered: true })
  new MutationObserver((_list, observer) => {
    if (document.querySelector('tbody tr, #empty') === null) return
    observer.disconnect()
    requestAnimationFrame(() => console.debug('drawn', performance.now()))
  }).observe(document, { childList: true, subtree: true })`

interface Memory {
  readonly now: number
  readonly most: number
}

const redis = await startRedis()
const client = new Redis(redis.url)
const child = fork(join(import.meta.dirname, 'console', 'server.ts'), [redis.url, TOKEN])
const [port] = (await once(child, 'message')) as [number]
const url = `http://127.0.0.1:${port}`
let browser: Browser | undefined

async function memory(): Promise<Memory> {
  child.send('memory')
  return ((await once(child, 'message')) as [Memory])[0]
}

async function opened(watched: BrowserContext): Promise<Page> {
  await watched.addInitScript(WATCH)
  const page = await watched.newPage()
  page.setDefaultTimeout(120_000)
  return page
}

/** Signs in, and returns the storage state of the browser. */
async function signedIn(chromium: Browser): Promise<Awaited<ReturnType<BrowserContext['storageState']>>> {
  const context = await chromium.newContext()
  const page = await opened(context)
  await page.goto(`${url}/console/`)
  await page.getByLabel('Token').fill(TOKEN)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Apps' }).waitFor()
  const state = await context.storageState()
  await context.close()
  return state
}

/** The load time of a page without a browser cache, in milliseconds since the start of the navigation. */
async function timeOf(chromium: Browser, state: object, path: string): Promise<number> {
  const context = await chromium.newContext({ storageState: state as never })
  const page = await opened(context)
  const load = async (target: string): Promise<number> => {
    // The page tells the time itself, because asking it again and again would keep a core of the machine busy.
    const told = page.waitForEvent('console', (message) => message.text().startsWith('drawn '))
    await page.goto(`${url}${target}`)
    return Number((await told).text().slice('drawn '.length))
  }
  // For the first page of a tab, Chromium starts a process, and another one for the next tab.
  await load('/empty')
  await setTimeout(500)
  const time = await load(path)
  await context.close()
  return time
}

type Step = readonly [what: string, act: (page: Page) => Promise<unknown>]

const button = (page: Page, name: string | RegExp): Promise<void> =>
  page.getByRole('button', { name }).first().click()
const heading = (page: Page, name: string): Promise<void> =>
  page.getByRole('heading', { name }).first().waitFor()
const says = (page: Page, text: string | RegExp): Promise<void> => page.getByText(text).first().waitFor()
const go = (page: Page, place: string): Promise<unknown> => page.evaluate(`location.hash = '#/${place}'`)

const STEPS: readonly Step[] = [
  ['the apps', (page) => says(page, appName(0))],
  ['the next page of apps', (page) => button(page, 'Next').then(() => says(page, appName(20)))],
  [
    'an app is found by its id',
    async (page) => {
      await page.getByLabel('Find an app by the start of its ID').fill(appName(apps - 1))
      await says(page, `The app ${appName(apps - 1)}`)
    },
  ],
  [
    'an id is found in the palette',
    async (page) => {
      await page.keyboard.press('Control+k')
      await page.getByLabel('App, list, request, person or key').fill('app-000')
      await page
        .getByRole('dialog')
        .getByRole('link', { name: /app-000/ })
        .first()
        .waitFor()
      // The first Escape only clears the field.
      await page.keyboard.press('Escape')
      await page.keyboard.press('Escape')
      await page.getByRole('dialog').waitFor({ state: 'hidden' })
    },
  ],
  ['an app', (page) => go(page, `apps/${appName(0)}`).then(() => says(page, 'Six protections'))],
  ['its numbers, from the audit', (page) => says(page, /Refused .* requests since/)],
  [
    'its requests',
    (page) => go(page, `apps/${appName(0)}/requests`).then(() => heading(page, 'Reasons for refusal')),
  ],
  ['its requests, live', (page) => button(page, 'Follow live').then(() => says(page, /Following/))],
  ['paused', (page) => button(page, 'Pause').then(() => says(page, 'Paused.'))],
  [
    'one request',
    async (page) => {
      await go(page, `requests/request-${events - 2}`)
      await says(page, 'GET /auth/v2/me')
    },
  ],
  ['the history', (page) => go(page, `apps/${appName(0)}/history`).then(() => heading(page, 'History'))],
  ['an app of 5,000 ranges', (page) => go(page, 'apps/large').then(() => says(page, /Show more/))],
  [
    'its ranges are filtered',
    async (page) => {
      await page.getByPlaceholder(/Filter 5,000/).fill('10.19.')
      await says(page, '10.19.1.0/24')
    },
  ],
  [
    '5,000 lines are pasted',
    async (page) => {
      const lines = Array.from({ length: 5_000 }, (_, index) => `172.16.${index >> 8}.${index & 255}`)
      // Pastes the lines, because with `fill`, which inserts them as editing commands, Chromium takes minutes.
      const other = await page.context().newPage()
      await other.goto(`${url}/empty`)
      await other.evaluate(`navigator.clipboard.writeText(${JSON.stringify(lines.join('\n'))})`)
      await other.close()
      await page.getByLabel('Add ranges: type one or paste many').first().press('Control+v')
      await page.getByRole('button', { name: 'Add', exact: true }).first().click()
      await page.getByRole('button', { name: /^Add 5,000/ }).waitFor()
    },
  ],
  [
    'and added to the draft',
    (page) => button(page, /^Add 5,000/).then(() => says(page, /change in 1 section/)),
  ],
  ['the review', (page) => go(page, 'apps/large/review').then(() => heading(page, 'What changes'))],
  [
    'the named lists',
    (page) => go(page, 'lists').then(() => page.getByRole('link', { name: 'long' }).waitFor()),
  ],
  [
    'a list of a million ranges',
    (page) =>
      page
        .getByRole('link', { name: 'long' })
        .click()
        .then(() => says(page, 'Entries 1 to 100')),
  ],
  ['its next page', (page) => button(page, 'Next').then(() => says(page, 'Entries 101 to 200'))],
  [
    'its last range is found',
    async (page) => {
      const last = `2a00:${((ranges - 1) >> 16).toString(16)}:${((ranges - 1) & 65_535).toString(16)}::/48`
      await page.getByLabel('Find in the list').fill(last)
      await button(page, 'Find')
      await page.getByText(last).first().waitFor()
    },
  ],
]

/**
 * Returns a row for each step. After a failed step, the others are still tried, because each starts at its own page.
 */
async function walk(page: Page, steps: readonly Step[]): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (const [what, act] of steps) {
    await page.evaluate('window.longest = 0')
    const begun = performance.now()
    const failure = await act(page).then(
      () => undefined,
      (error: unknown) => String(error).split('\n', 1)[0]?.slice(0, 120),
    )
    const taken = (performance.now() - begun).toFixed(0)
    if (failure !== undefined) {
      rows.push({ what: `${what}: ${failure}`, measured: 'failed', target: '', ok: false })
      continue
    }
    // Long tasks are reported after they have ended.
    await page.evaluate('new Promise((resolve) => setTimeout(resolve, 100))')
    const longest = await page.evaluate<number>('window.longest')
    rows.push(atMost(`${what} (${taken} ms): longest task`, longest, LONGEST_TASK, 'ms', 0))
  }
  return rows
}

const megabytes = (bytes: number): number => bytes / 1e6

const rows: Row[] = []
try {
  await fillApps(client, apps)
  await fillList(client, 'long', ranges)
  rows.push(told('memory of the server after its start', `${megabytes((await memory()).now).toFixed(0)} MB`))
  browser = await launchChromium()
  // The first walk uses a tenth of the events, so that the results show what grows with their number.
  for (const share of [0.1, 1]) {
    await fillEvents(client, share === 1 ? events * 0.1 : 0, events * share, apps)
    const state = await signedIn(browser)
    const [empty, first]: [number[], number[]] = [[], []]
    for (let turn = 0; turn < PAGES; turn += 1) {
      empty.push(await timeOf(browser, state, '/empty'))
      first.push(await timeOf(browser, state, '/console/'))
    }
    const context = await browser.newContext({
      storageState: state,
      permissions: ['clipboard-read', 'clipboard-write'],
    })
    const page = await opened(context)
    await page.goto(`${url}/console/`)
    rows.push(told(`${(events * share).toLocaleString('en')} events`, ''))
    // With the first tenth, only the steps that read.
    rows.push(...(await walk(page, share === 1 ? STEPS : STEPS.slice(0, 9))))
    await context.close()
    const { most } = await memory()
    rows.push(
      told('an empty page', `${median(empty).toFixed(0)} ms`),
      told('the first page, with its rows', `${median(first).toFixed(0)} ms`),
      atMost('    relative to an empty page', median(first) / median(empty), MOST_TIMES, '', 2),
      atMost('peak memory of the server', megabytes(most), MOST_MEMORY, 'MB', 0),
    )
  }
  rows.push(told('memory of Redis', /used_memory_human:(\S+)/.exec(await client.info('memory'))?.[1] ?? ''))
  process.exitCode = rows.every(({ ok }) => ok !== false) ? 0 : 1
} finally {
  console.log(`Node ${process.version}, ${apps} apps, a list of ${ranges} ranges, ${events} events`)
  for (const text of [header, ...rows.map(line)]) console.log(text)
  await browser?.close()
  child.disconnect()
  client.disconnect()
  await redis.stop()
}
process.exit()
