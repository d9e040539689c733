import { findProgram } from './commands.ts'

/** The path of a Chromium or Chrome that runs on this machine. */
export async function findChromium(): Promise<string> {
  const program = process.env['CHROME_PATH'] ?? findProgram(['chromium'])
  if (program === undefined) throw new Error('no Chromium')
  return program
}
