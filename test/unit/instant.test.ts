import { describe, expect, it } from '@jest/globals'
import { parseInstant } from '../../src/instant.ts'

describe('parseInstant', () => {
  const instants: [string, string][] = [
    ['2030-01-31T12:00:00Z', '2030-01-31T12:00:00.000Z'],
    ['2030-01-31T12:00Z', '2030-01-31T12:00:00.000Z'],
    ['2030-01-31T12:00:00.123456789+02:00', '2030-01-31T10:00:00.123Z'],
    ['2028-02-29T00:00:00Z', '2028-02-29T00:00:00.000Z'],
    ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00.000Z'],
    ['0000-02-29T23:59:59Z', '0000-02-29T23:59:59.000Z'],
  ]
  for (const [text, instant] of instants) {
    it(`reads ${text}`, () => expect(new Date(parseInstant(text) ?? Number.NaN).toISOString()).toBe(instant))
  }

  const others: unknown[] = [
    '',
    '2030-01-31',
    '2030-01-31T12:00:00',
    '2030-01-31 12:00:00Z',
    '2030-1-31T12:00:00Z',
    ' 2030-01-31T12:00Z',
    '2030-01-31T12:00:00Z\n',
    '2030-01-31T12:00:00z',
    '+002030-01-31T12:00:00Z',
    '2030-00-01T00:00:00Z',
    '2030-13-01T00:00:00Z',
    '2030-01-00T00:00:00Z',
    '2030-01-32T00:00:00Z',
    '2030-02-29T00:00:00Z',
    '2100-02-29T00:00:00Z',
    '2028-02-30T00:00:00Z',
    '2030-04-31T00:00:00Z',
    '2030-01-31T24:00:00Z',
    '2030-01-31T12:60:00Z',
    '2030-01-31T12:00:60Z',
    '2030-01-31T12:00:00+24:00',
    undefined,
    null,
    0,
    new Date(0),
    ['2030-01-31T12:00:00Z'],
  ]
  for (const given of others) {
    it(`${JSON.stringify(given)} is not an instant`, () => expect(parseInstant(given)).toBeUndefined())
  }
})
