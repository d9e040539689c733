import { expect, it } from '@jest/globals'
import { lintPolicy } from 'portcullis'

it('finds an entry that means the same as an earlier one, even if it is the only one', () => {
  const domains = ['https://example.org', 'HTTPS://Example.org:443']
  const found = lintPolicy({ appId: 'a', domainProtect: { mode: 'enforce', domains } })
  expect(
    found.filter(({ code }) => code === 'entry-duplicate').map(({ path, message }) => `${path} ${message}`),
  ).toEqual([
    'domainProtect.domains[1] means the same as `domainProtect.domains[0]` and is not stored: remove it',
  ])
})
