/** The time that the processor works on a call, in milliseconds: other programs of a busy machine do not count. */
export function processorTime(call: () => void): number {
  const begun = process.cpuUsage()
  call()
  const { user, system } = process.cpuUsage(begun)
  return (user + system) / 1_000
}
