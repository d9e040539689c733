import { describe, expect, it } from '@jest/globals'
import { hasParameter } from '../../../src/match/parameter-name.ts'

describe('hasParameter', () => {
  const there: [string, string][] = [
    ['code', 'code=x'],
    ['code', 'a=1&code'],
    ['code', 'CODE=x'],
    ['code', 'c%6fde=x'],
    ['code', 'code[]=x'],
    ['code', 'code%5B0%5D=x'],
    ['code', '[code]=x'],
    ['code', '+code=x'],
    ['code', '%20code=x'],
    ['code', 'code%ff[]=x&code[%ff]=y'],
    ['_ukey1', '_ukey1[code]=x'],
    ['_ukey1', '%5fukey1%5Bcode%5D=x'],
    ['_ukey1', '_uke%79%31[result]=x'],
    ['_ukey1', '.ukey1[code]=x'],
    ['_ukey1[code]', '_ukey1[code][]=x'],
    ['_ukey1[code]', '_ukey1=x'],
    ['access_token', 'access.token=x'],
    ['access_token', 'access+token=x'],
    ['access.token', 'access_token=x'],
  ]
  it.each(there)('finds %s in %s', (name, query) => {
    expect(hasParameter(query, ['other', name])).toBe(true)
  })

  const absent: [string, string][] = [
    ['code', ''],
    ['code', 'x=code'],
    ['code', 'x=1?code=x'],
    ['code', 'code2=x&xcode=y&x[code]=z'],
    ['code', 'code%ff=x'],
    ['code', 'c%256fde=x'],
    ['_ukey1[code]', '_ukey1[state]=x&_ukey1[codes]=y'],
  ]
  it.each(absent)('does not find %s in %j', (name, query) => {
    expect(hasParameter(query, ['other', name])).toBe(false)
  })
})
