import { createServer, type Server } from 'node:http'
import { type AddressInfo } from 'node:net'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { launchChromium } from '../support/chromium.ts'

let browser: Browser
let server: Server

beforeAll(async () => {
  browser = await launchChromium()
  server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<link rel="icon" href="data:,"><button onclick="document.title = `clicked`">Press</button>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

afterAll(async () => {
  await browser.close()
  await new Promise((resolve) => server.close(resolve))
})

it('a real Chromium loads a page of this machine and clicks', async () => {
  const page = await browser.newPage()
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  await page.getByRole('button', { name: 'Press' }).click()
  expect(await page.title()).toBe('clicked')
})
