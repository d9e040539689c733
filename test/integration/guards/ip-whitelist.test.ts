import { describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { ipWhitelist } from 'portcullis'
import { APP, protectedApp } from '../../support/protected-app.ts'

const NET = '192.0.2.0/24'
const HOST = '192.0.2.7'
const OTHER = '192.0.2.8'
const NET6 = '2001:db8::/32'
const HOST6 = '2001:db8::7'

/** Sections, and the callers that they admit. The lists `office` and `blocked` contain NET and HOST. */
const rows: [what: string, section: object, admitted: string[], refused: string[]][] = [
  ['a range alone', { ranges: [NET] }, [HOST, OTHER], ['192.0.3.1', HOST6]],
  ['an address of a range that `deny` holds', { ranges: [NET], deny: [HOST] }, [OTHER], [HOST]],
  ['a part of a range that `deny` holds', { ranges: [NET], deny: ['192.0.2.0/29'] }, [OTHER], [HOST]],
  ['a range inside of a larger one in `deny`', { ranges: [HOST], deny: [NET] }, [], [HOST, OTHER]],
  ['the same range in both', { ranges: [NET], deny: [NET] }, [], [HOST, OTHER]],
  ['`deny` alone', { deny: [HOST] }, [], [HOST, OTHER]],
  ['`deny` of IPv6', { ranges: [NET6, NET], deny: [HOST6] }, ['2001:db8::8', HOST], [HOST6]],
  ['`deny` that holds all of IPv4', { ranges: [NET, NET6], deny: ['0.0.0.0/0'] }, [HOST6], [HOST, OTHER]],
  ['a list', { lists: ['office'] }, [HOST, OTHER], ['192.0.3.1']],
  ['an address of a list that `deny` holds', { lists: ['office'], deny: [HOST] }, [OTHER], [HOST]],
  [
    'an address of a range that a list of `denyLists` holds',
    { ranges: [NET], denyLists: ['blocked'] },
    [OTHER],
    [HOST],
  ],
  [
    'an address of a list that another one denies',
    { lists: ['office'], denyLists: ['blocked'] },
    [OTHER],
    [HOST],
  ],
  ['the same list for both', { lists: ['office'], denyLists: ['office'] }, [], [HOST, OTHER]],
  ['a list that does not exist beside a range', { ranges: [NET], lists: ['none'] }, [HOST], ['192.0.3.1']],
  ['a list of `denyLists` that does not exist', { ranges: [NET], denyLists: ['none'] }, [], [HOST, OTHER]],
]

describe('a mounted ipWhitelist', () => {
  for (const [what, section, admitted, refused] of rows) {
    it(`judges ${what}`, async () => {
      const { app, store, reached } = protectedApp(
        { ipWhitelist: { mode: 'enforce', ...section } },
        (policies) => [
          ipWhitelist({
            policies,
            clientAddress: { trustedProxies: ['127.0.0.0/8', '::1'], header: 'x-forwarded-for' },
          }),
        ],
      )
      await store.writeList('office', [{ range: NET }], 0)
      await store.writeList('blocked', [{ range: HOST }], 0)
      const statusOf = async (address: string): Promise<[string, number]> => {
        const sent = request(app).get('/').set({ 'x-app-id': APP, 'x-forwarded-for': address })
        return [address, (await sent).status]
      }
      for (const address of admitted) expect(await statusOf(address)).toEqual([address, 200])
      for (const address of refused) expect(await statusOf(address)).toEqual([address, 403])
      expect(reached).toHaveLength(admitted.length)
    })
  }
})
