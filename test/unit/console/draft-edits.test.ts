import { describe, expect, it } from '@jest/globals'
import { editsBetween, valueAt, withEdits, type DraftEdit } from '../../../src/console/draft-edits.ts'

const BEFORE = {
  appId: 'shop',
  name: 'Shop',
  serverOnly: { mode: 'enforce', maxAge: 300 },
  ipWhitelist: { mode: 'report', ranges: ['10.0.0.1', '10.0.0.2', '10.0.0.3'] },
  returnUrlGuard: { mode: 'report', urls: ['https://a.example/', { exact: 'https://b.example/' }] },
}

const ROWS: readonly (readonly [title: string, after: object, edits: readonly DraftEdit[]])[] = [
  ['nothing', { ...BEFORE, serverOnly: { ...BEFORE.serverOnly } }, []],
  ['a value', { ...BEFORE, name: 'Other' }, [{ path: 'name', before: 'Shop', after: 'Other' }]],
  [
    'a member of a section',
    { ...BEFORE, serverOnly: { mode: 'off', maxAge: 300 } },
    [{ path: 'serverOnly.mode', before: 'enforce', after: 'off' }],
  ],
  [
    'entries',
    { ...BEFORE, ipWhitelist: { mode: 'report', ranges: ['10.0.0.1', '10.0.0.3', '10.0.0.4'] } },
    [{ path: 'ipWhitelist.ranges', add: ['10.0.0.4'], remove: ['10.0.0.2'] }],
  ],
  [
    'an entry that is an object',
    { ...BEFORE, returnUrlGuard: { mode: 'report', urls: ['https://a.example/'] } },
    [{ path: 'returnUrlGuard.urls', add: [], remove: [{ exact: 'https://b.example/' }] }],
  ],
  [
    'a list that was missing, also if it is empty',
    { ...BEFORE, expect: [{ name: 'one' }], serverOnly: { ...BEFORE.serverOnly, lists: [] } },
    [
      { path: 'serverOnly.lists', add: [], remove: [] },
      { path: 'expect', add: [{ name: 'one' }], remove: [] },
    ],
  ],
  [
    'a whole section',
    { ...BEFORE, regionPin: { mode: 'off' } },
    [{ path: 'regionPin', before: undefined, after: { mode: 'off' } }],
  ],
  [
    'a member that is left out',
    { ...BEFORE, name: undefined },
    [{ path: 'name', before: 'Shop', after: undefined }],
  ],
]

describe('the edits between two policies', () => {
  it.each(ROWS)('%s', (_title, after, edits) => {
    expect(editsBetween(BEFORE, after)).toEqual(edits)
    // As they arrive at the server.
    const sent = JSON.parse(JSON.stringify(edits)) as DraftEdit[]
    expect(withEdits(BEFORE, sent)).toEqual(JSON.parse(JSON.stringify(after)))
  })
})

describe('edits of a policy that somebody else has edited', () => {
  it('add no entry twice, and remove nothing that is already gone', () => {
    const edits = [{ path: 'ipWhitelist.ranges', add: ['10.0.0.2', '10.0.0.9'], remove: ['10.0.0.8'] }]
    expect(withEdits(BEFORE, edits).ipWhitelist.ranges).toEqual([
      '10.0.0.1',
      '10.0.0.2',
      '10.0.0.3',
      '10.0.0.9',
    ])
  })

  it('change neither the policy nor what all objects inherit', () => {
    const frozen = JSON.stringify(BEFORE)
    const edits: DraftEdit[] = [
      { path: '__proto__.mode', after: 'off' },
      { path: 'constructor', after: 1 },
    ]
    const edited = withEdits(BEFORE, edits)
    expect(Object.keys(edited)).toEqual([...Object.keys(BEFORE), '__proto__', 'constructor'])
    expect(({} as { mode?: unknown }).mode).toBeUndefined()
    expect(valueAt(BEFORE, 'constructor.name')).toBeUndefined()
    expect(JSON.stringify(BEFORE)).toBe(frozen)
  })
})
