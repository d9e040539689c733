import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { describe, it } from '@jest/globals'
import { fileStore } from 'portcullis'
import { policyStoreContract } from 'portcullis/testing'
import { createVault } from 'portcullis/vault'

const vault = createVault({ keys: [{ id: 'test', key: randomBytes(32) }] })

policyStoreContract('file', { describe, it }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'file-store-'))
  const store = fileStore(join(directory, 'policies.json'), { vault, create: true })
  return {
    store,
    async dispose() {
      store.close()
      await rm(directory, { recursive: true })
    },
  }
})
