import { describe, expect, it } from '@jest/globals'
import { parseOnce } from '../../../src/console/desk.ts'
import { assess } from '../../../src/console/steps.ts'

const documentOf = (range: string): object => ({
  appId: 'shop',
  ipWhitelist: { mode: 'enforce', ranges: [range] },
})

describe('the result of each read of the store', () => {
  it('is parsed and assessed once, even if it is another object each time', () => {
    const first = parseOnce(documentOf('192.0.2.1'))
    expect(parseOnce(documentOf('192.0.2.1'))).toBe(first)
    expect(assess(parseOnce(documentOf('192.0.2.1')))).toBe(assess(first))
  })

  it('is parsed again if anything in it has changed', () => {
    const first = parseOnce(documentOf('192.0.2.1'))
    expect(parseOnce(documentOf('192.0.2.2'))).not.toBe(first)
    expect(parseOnce(documentOf('192.0.2.2')).ipWhitelist?.ranges).toEqual(['192.0.2.2'])
  })

  it('is refused each time if it is not a policy', () => {
    for (let look = 0; look < 2; look += 1) {
      expect(() => parseOnce({ appId: 'shop', ipWhitelst: {} })).toThrow('ipWhitelst')
      expect(() => parseOnce(undefined)).toThrow()
    }
  })
})
