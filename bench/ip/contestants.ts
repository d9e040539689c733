import { createRequire } from 'node:module'
import { BlockList } from 'node:net'
import type { RequestHandler } from 'express'
import ipaddr from 'ipaddr.js'
import { Matcher } from 'netparser'
import { createIpSetBuilder, type IpSet } from '../../src/match/ip-set.ts'
import { parseIp } from '../../src/match/ip.ts'

/** Whether an address is in one of the ranges. */
export type Ask = (address: string) => boolean

export interface Contestant {
  /** Builds the set from texts. */
  readonly build: (texts: Iterable<string>) => Ask
  /** Whether it keeps its ranges outside the heap, where their memory cannot be measured. */
  readonly native?: boolean
  /** The maximum number of ranges. With more, a look-up would take seconds. */
  readonly most?: number
  /** Whether it supports only IPv4. It is then measured only with IPv4. */
  readonly onlyFour?: boolean
}

export const OURS = 'portcullis'

const require = createRequire(import.meta.url)

export function buildSet(texts: Iterable<string>): IpSet {
  const builder = createIpSetBuilder()
  for (const text of texts) {
    const problem = builder.add(text)
    if (problem !== undefined) throw new Error(`${text} ${problem.problem}`)
  }
  const steps = builder.finish()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

const isSix = (text: string): boolean => text.includes(':')

export const contestants: Readonly<Record<string, Contestant>> = {
  [OURS]: {
    build: (texts) => {
      const set = buildSet(texts)
      return (text) => {
        const address = parseIp(text)
        return address !== undefined && set.contains(address)
      }
    },
  },
  'net.BlockList': {
    native: true,
    build: (texts) => {
      const list = new BlockList()
      for (const text of texts) {
        const [host = '', prefix] = text.split('/')
        const family = isSix(host) ? 'ipv6' : 'ipv4'
        if (prefix === undefined) list.addAddress(host, family)
        else list.addSubnet(host, Number(prefix), family)
      }
      return (text) => list.check(text, isSix(text) ? 'ipv6' : 'ipv4')
    },
  },
  'ipaddr.js, ranges read before': {
    build: (texts) => {
      const ranges = Array.from(texts, (text) =>
        ipaddr.parseCIDR(text.includes('/') ? text : `${text}/${isSix(text) ? 128 : 32}`),
      )
      return (text) => {
        const address = ipaddr.parse(text)
        return ranges.some(
          ([range, prefix]) => range.kind() === address.kind() && address.match(range, prefix),
        )
      }
    },
  },
  netparser: {
    build: (texts) => {
      const matcher = new Matcher([...texts])
      return (text) => matcher.has(text)
    },
  },
  'express-ipfilter': {
    most: 100_000,
    build: (texts) => {
      const { IpFilter } = require('express-ipfilter') as {
        IpFilter: (ips: readonly string[], options: object) => RequestHandler
      }
      const list = [...texts]
      let asked = ''
      const filter = IpFilter(list, { mode: 'allow', log: false, detectIp: () => asked })
      return (text) => {
        asked = text
        let admitted = false
        // The filter uses no other property of the request and the response.
        const nothing = {} as Parameters<RequestHandler>[0] & Parameters<RequestHandler>[1]
        void filter(nothing, nothing, (error?: unknown) => {
          admitted = error === undefined
        })
        return admitted
      }
    },
  },
  // It is not a dependency, because its install script refuses npm.
  'ip-set (IPv4 only)': {
    onlyFour: true,
    build: (texts) => {
      const IPSet = require('ip-set') as new () => {
        add(text: string): void
        contains(text: string): boolean
      }
      const set = new IPSet()
      for (const text of texts) set.add(text)
      return (text) => set.contains(text)
    },
  },
}
