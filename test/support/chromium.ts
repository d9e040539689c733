import { type Browser, chromium } from 'playwright-core'
import { findChromium } from './chromium-binary.ts'

/** Starts a headless Chromium with its own profile, and optional arguments. Close it in `afterAll`. */
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
