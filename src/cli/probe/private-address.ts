import { BlockList, isIP } from 'node:net'

const PRIVATE = [
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['::1', 128, 'ipv6'],
] as const

/** Whether an address is not routed on the internet, so that others see another one. */
export function isPrivate(address: string): boolean {
  const list = new BlockList()
  for (const [network, prefix, family] of PRIVATE) list.addSubnet(network, prefix, family)
  const text = address.replace(/^::ffff:/, '').split('%', 1)[0] ?? ''
  return isIP(text) !== 0 && list.check(text, isIP(text) === 4 ? 'ipv4' : 'ipv6')
}
