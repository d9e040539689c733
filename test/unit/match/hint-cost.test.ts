import { describe, expect, it } from '@jest/globals'
import { guessCountry } from '../../../src/jurisdiction/country-guess.ts'
import { show } from '../../../src/errors.ts'
import { parseIpRange } from '../../../src/match/ip.ts'
import { parseOriginEntry } from '../../../src/match/origin.ts'
import { parseReturnUrlEntry } from '../../../src/match/return-url.ts'

/** The minimum CPU time of a call in several rounds, in milliseconds. */
function costOf(run: () => unknown): number {
  const rounds = Array.from({ length: 3 }, () => {
    const start = process.cpuUsage()
    for (let call = 0; call < 20; call += 1) run()
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 20_000
  })
  return Math.min(...rounds)
}

const LONGEST = 4_096

function joined(separator: string, item: (index: number) => string, length: number): string {
  let text = item(0)
  for (let index = 1; ; index += 1) {
    const longer = `${text}${separator}${item(index)}`
    if (longer.length > length) return text
    text = longer
  }
}

/** Text lengths that are examined, and one that is too long. */
const LENGTHS = [120, 500, LONGEST]
const hostile = LENGTHS.flatMap((length) => [
  ...[',', ';', '|', ' ', ', ', ' ; '].map((separator) =>
    joined(separator, (index) => `https://x${index}.example`, length),
  ),
  ...[',', '|', ' '].map((separator) => joined(separator, (index) => `x${index}.b`, length)),
  ...[',', '|', ' '].map((separator) => joined(separator, (index) => `10.0.0.${index % 256}`, length)),
  ...[',', '|'].map((separator) => joined(separator, (index) => `https://\u00fc${index}.example`, length)),
  ...['x', ' ', '.', '*', ':', '/', ',', '#', '-', '0', '"', '\u200b', '\uff11', '\u0301'].map((character) =>
    character.repeat(length),
  ),
  ...[' ', '*', '/', '\u200b'].map((character) => `1${character.repeat(length - 2)}1`),
  `https://${'a.'.repeat(length / 2 - 5)}b`,
  `https://example.org/${'../'.repeat(length / 3 - 8)}`,
  `https://example.org/${'*'.repeat(length - 21)}x`,
  `https://*.${'*.'.repeat(length / 2 - 6)}b`,
])
const spans = [
  '::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe',
  '::1-fffe::',
  '0.0.0.1-255.255.255.254',
  '0.0.0.0-255.255.255.255',
  '10.0.0.1-10.0.0.50',
  '2001:db8::/ffff:ffff::',
  Array.from({ length: 16 }, () => '::1').join(';'),
]
const texts = [...spans, ...hostile]

describe('a hint costs at most a small multiple of a valid entry', () => {
  const readers: [string, (text: string) => unknown, string, number][] = [
    // Valid entries of a typical length.
    ['a range', parseIpRange, '2001:db8:85a3:8d3:1319:8a2e:370:7348', 15],
    ['an origin', parseOriginEntry, 'https://b\u00fccher.example', 15],
    ['a return URL', parseReturnUrlEntry, 'https://b\u00fccher.example/callback', 15],
    ['a country', guessCountry, '826', 15],
  ]
  it.each(readers)('%s', (_what, read, right, most) => {
    for (const text of texts) read(text)
    const plain = costOf(() => read(right))
    // Other processes may slow down one measurement. If a text is really expensive, a second measurement shows it too.
    const dear = texts.filter((text) => costOf(() => read(text)) > most * plain)
    const stillDear = dear.filter((text) => costOf(() => read(text)) > most * costOf(() => read(right)))
    expect(stillDear.map((text) => text.slice(0, 60))).toEqual([])
  })

  it('shows a value in time linear in its length', () => {
    const plain = costOf(() => show('x'.repeat(60_000)))
    for (const part of ['://', '//', 'a:', '//a@', '?']) {
      expect(costOf(() => show(part.repeat(60_000 / part.length)))).toBeLessThan(100 * plain)
    }
  })
})
