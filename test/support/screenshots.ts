import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'

/** The folder for screenshots of every page, set with `SCREENSHOTS=folder`. */
const FOLDER = process.env['SCREENSHOTS']

const SCHEMES = ['light', 'dark'] as const
const WIDTHS = [1280, 360] as const

/** Takes screenshots of a page in both colour schemes and widths if enabled, and then restores the page. */
export async function takePictures(
  page: Page,
  name: string,
  { colorScheme, width }: { readonly colorScheme: 'light' | 'dark'; readonly width: number },
): Promise<void> {
  if (FOLDER === undefined) return
  await mkdir(FOLDER, { recursive: true })
  for (const scheme of SCHEMES) {
    await page.emulateMedia({ colorScheme: scheme })
    for (const wide of WIDTHS) {
      await page.setViewportSize({ width: wide, height: 800 })
      await page.screenshot({ path: join(FOLDER, `${name}.${scheme}.${wide}.png`) })
    }
  }
  await page.emulateMedia({ colorScheme })
  await page.setViewportSize({ width, height: 800 })
}
