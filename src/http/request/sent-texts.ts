import type { GuardRequest } from '../handler.ts'

/** The most texts of a request that are returned. */
const MOST = 500

/** The texts and numbers that parsers have found in a request: in its parameters, query and body. */
export function sentTexts(req: GuardRequest): string[] {
  const texts: string[] = []
  const walk = (value: unknown, depth: number): void => {
    if (texts.length >= MOST || depth > 5) return
    if (typeof value === 'string') texts.push(value.trim())
    else if (typeof value === 'number') texts.push(String(value))
    else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value))
      for (const inner of Object.values(value)) walk(inner, depth + 1)
  }
  walk([req.params, req.query, req.body], 0)
  return texts
}
