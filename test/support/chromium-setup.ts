import { findChromium } from './chromium-binary.ts'

/** Before browser tests: finds or installs a Chromium, and hands its path on. */
export default async function setUp(): Promise<void> {
  process.env['CHROME_PATH'] = await findChromium()
}
