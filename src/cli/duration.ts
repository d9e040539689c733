import { parseInstant } from '../instant.ts'
import { CommandUsageError, textOf, type OptionValues } from './command.ts'

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** The duration given by an option, in milliseconds. */
export function lengthOf(values: OptionValues, name: string): number | undefined {
  const text = textOf(values, name)
  if (text === undefined) return undefined
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const length = Number(count) * (UNITS[unit] ?? 0)
  if (length > 0) return length
  throw new CommandUsageError(
    `\`--${name}\` must be a duration such as 90d, 12h, 30m or 45s, got \`${text}\``,
  )
}

/** The time given by an option in ISO 8601, unchanged. */
export function instantOf(values: OptionValues, name: string): string | undefined {
  const text = textOf(values, name)
  if (text === undefined || parseInstant(text) !== undefined) return text
  throw new CommandUsageError(
    `\`--${name}\` must be a time in ISO 8601 such as \`2030-01-31T12:00:00Z\`, got \`${text}\``,
  )
}
