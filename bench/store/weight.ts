import { createPolicySource } from 'portcullis'
import type { PolicyStore } from 'portcullis/store'
import { loadAll, memoryInUse } from './child.ts'
import type { Row } from './table.ts'

/** The maximum factor between `status().bytes` and the measured memory of the policies, in either direction. */
const MOST_OFF = 2

/** Documents like those from a store, whose strings nothing else refers to. */
const kinds: readonly { name: string; apps: number; policy: (appId: string, number: number) => object }[] = [
  {
    name: '1,000 IPv4 ranges',
    apps: 1_000,
    policy: (appId, number) => ({
      appId,
      ipWhitelist: { mode: 'enforce', ranges: listOf(1_000, (index) => ipv4Range(index, number)) },
    }),
  },
  {
    name: '1,000 IPv6 ranges',
    apps: 1_000,
    policy: (appId, number) => ({
      appId,
      ipWhitelist: {
        mode: 'enforce',
        ranges: listOf(1_000, (index) => `2001:db8:${hex(number + 1)}:${hex(2 * index + 1)}::/64`),
      },
    }),
  },
  {
    name: '100 domains and 50 return URLs',
    apps: 1_000,
    policy: (appId) => ({
      appId,
      domainProtect: {
        mode: 'enforce',
        domains: listOf(100, (index) => `https://${index}.${appId}.example.org`),
      },
      returnUrlGuard: {
        mode: 'enforce',
        urls: listOf(50, (index) => `https://${index}.${appId}.example.org/sign-in/callback/`),
      },
    }),
  },
  {
    // The maximum depth, which somebody would use who wants to exhaust memory.
    name: '10 return URLs of 900 segments',
    apps: 50,
    policy: (appId) => ({
      appId,
      returnUrlGuard: {
        mode: 'enforce',
        urls: listOf(10, (index) => `https://${index}.${appId}.example.org/${'a/'.repeat(900)}`),
      },
    }),
  },
  {
    name: '10 return URLs that share 900 segments',
    apps: 50,
    policy: (appId) => ({
      appId,
      returnUrlGuard: {
        mode: 'enforce',
        urls: listOf(10, (index) => `https://${appId}.example.org/${'a/'.repeat(900)}${index}/`),
      },
    }),
  },
  {
    name: '1,000 exact return URLs',
    apps: 100,
    policy: (appId) => ({
      appId,
      returnUrlGuard: {
        mode: 'enforce',
        urls: listOf(1_000, (index) => ({ exact: `https://${appId}.example.org/callback?user=${index}` })),
      },
    }),
  },
  {
    name: 'minimal',
    apps: 10_000,
    policy: (appId) => ({ appId, auditAccess: { mode: 'enforce' } }),
  },
]

function listOf<T>(length: number, entry: (index: number) => T): T[] {
  return Array.from({ length }, (_, index) => entry(index))
}

/** Every second block of 256 addresses, so that no two ranges are adjacent. */
function ipv4Range(index: number, number: number): string {
  return `${10 + (number % 100)}.${index >> 7}.${(index & 127) * 2}.0/24`
}

function hex(number: number): string {
  return number.toString(16)
}

/** Compares the bytes that the source counts to limit its memory with the memory that its policies really use. */
export async function measureWeight(): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (const { name, apps, policy } of kinds) {
    const numberOf = (appId: string): number => Number(appId.slice(appId.lastIndexOf('-') + 1))
    const store: PolicyStore = {
      read: async (appId) => ({
        policy: JSON.parse(JSON.stringify(policy(appId, numberOf(appId)))) as unknown,
        revision: 1,
        keys: [],
      }),
    }
    const load = async (word: string, count: number): Promise<{ growth: number; counted: number }> => {
      const policies = createPolicySource({ store, maxBytes: Number.MAX_SAFE_INTEGER })
      const before = await memoryInUse()
      for (let from = 0; from < count; from += 100)
        await loadAll(
          policies,
          listOf(Math.min(100, count - from), (index) => `${word}-${from + index}`),
        )
      const growth = (await memoryInUse()) - before
      return { growth, counted: policies.status().bytes }
    }
    // Memory of compiled code and hidden classes remains in use, and does not belong to policies.
    await load('warm-up', 100)
    const { growth, counted } = await load('app', apps)
    const ratio = counted / growth
    const figures = [counted, growth].map((bytes) => (bytes / apps).toFixed(0))
    rows.push({
      what: `   ${name}: counted bytes, relative to bytes in use (${figures.join(' / ')} B)`,
      measured: ratio.toFixed(2),
      target: `${1 / MOST_OFF} to ${MOST_OFF}`,
      ok: ratio >= 1 / MOST_OFF && ratio <= MOST_OFF,
    })
  }
  return rows
}
