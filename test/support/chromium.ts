import { type Browser, chromium } from 'playwright-core'
import { findChromium } from './chromium-binary.ts'

/** Starts a real headless Chromium with a profile of its own, and with more arguments if need be. Close it in `afterAll`. */
export async function launchChromium(...more: string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: await findChromium(),
    headless: true,
    args: [
      '--disable-dev-shm-usage',
      '--disable-gpu',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--hide-scrollbars',
      '--force-color-profile=srgb',
      '--font-render-hinting=none',
      ...more,
    ],
  })
}
