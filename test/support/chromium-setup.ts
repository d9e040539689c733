import { findChromium } from './chromium-binary.ts'

/** Runs before browser tests: finds or installs a Chromium, and passes on its path. */
export default async function setUp(): Promise<void> {
  process.env['CHROME_PATH'] = await findChromium()
}
