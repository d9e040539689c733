import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'

/** Where pictures of every page go, for whoever wants to look at them: `SCREENSHOTS=folder`. */
const FOLDER = process.env['SCREENSHOTS']

const SCHEMES = ['light', 'dark'] as const
const WIDTHS = [1280, 360] as const

/** Takes pictures of a page in both schemes and both widths, where that is asked for; then the page is as it was. */
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
