import { parseReturnUrl, parseReturnUrlEntry } from './src/match/return-url.ts'
import { createReturnUrlSet } from './src/match/return-url-set.ts'
import { parseOrigin, parseOriginEntry } from './src/match/origin.ts'
import { createOriginSet } from './src/match/origin-set.ts'
for (const n of [10, 1000, 10000]) {
  const set = createReturnUrlSet(Array.from({ length: n }, (_, i) => parseReturnUrlEntry(`https://app${i}.example/callback/`) as any))
  const os = createOriginSet(Array.from({ length: n }, (_, i) => parseOriginEntry(i % 2 ? `https://app${i}.example` : `https://*.app${i}.example`) as any))
  const time = (what: string, mk: (i: number) => string, f: (t: string) => unknown) => {
    const rs: number[] = []
    for (let r = 0; r < 15; r++) {
      const fresh = Array.from({ length: 20000 }, (_, i) => Buffer.from(mk((i * 7919) % n)).toString('latin1'))
      const t = process.cpuUsage(); for (const x of fresh) f(x); const d = process.cpuUsage(t); rs.push((d.user + d.system) / 20000 * 1000)
    }
    console.log(n, what, rs.sort((a, b) => a - b)[7]!.toFixed(0), 'ns')
  }
  time('url parse', (i) => `https://app${i}.example/callback/abcdefgh/?tracking=123456`, (t) => parseReturnUrl(t))
  time('url all', (i) => `https://app${i}.example/callback/abcdefgh/?tracking=123456`, (t) => { const u = parseReturnUrl(t); return 'problem' in u ? 0 : set.find(u) })
  time('origin holds', (i) => `https://app${i | 1}.example`, (t) => os.holds(t))
  time('origin parse', (i) => `https://app${i | 1}.example`, (t) => parseOrigin(t))
  time('origin wild all', (i) => `https://a.app${i & ~1}.example`, (t) => os.holds(t) || os.find(parseOrigin(t)!))
  time('URL', (i) => `https://app${i}.example/callback/abcdefgh/?tracking=123456`, (t) => new URL(t).href)
}
