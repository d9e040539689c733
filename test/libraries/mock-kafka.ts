import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { findPrograms, isRoot } from '../support/commands.ts'
import { byApt, findOrInstall, isInstalled } from '../support/programs.ts'

/**
 * The mock cluster of librdkafka, with the Kafka protocol over TCP and topics in memory, and a consumer of one topic.
 */
export interface MockKafka {
  readonly broker: string
  /** The messages that the consumer has read, in order: key, value and headers. */
  readonly read: { readonly key: string; readonly value: string; readonly headers: string }[]
  stop(): Promise<void>
}

/** Starts a cluster. Its consumer is also from librdkafka, a different implementation than that of the producer. */
export async function mockKafka(topic: string): Promise<MockKafka> {
  const program = await findOrInstall({
    what: 'kcat, which has a Kafka cluster for tests',
    variable: 'KCAT_BIN',
    candidates: () => findPrograms(['kcat'], ['/usr/local/bin', '/opt/homebrew/bin']),
    waysToInstall: isRoot && isInstalled('apt-get') ? [byApt('kcat')] : [],
    advice: 'install kcat',
    version: '-V',
  })
  const mock = ['-b', '127.0.0.1:1', '-X', 'test.mock.num.brokers=1', '-X', 'debug=mock']
  const child = spawn(program, [...mock, '-C', '-t', topic, '-u', '-f', '%k\t%h\t%s\n'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const read: MockKafka['read'][number][] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [key = '', headers = '', value = ''] = line.split('\t')
      read.push({ key, headers, value })
    }
  })
  let said = ''
  const broker = await new Promise<string>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < 10_000) said += text
      const found = /bootstrap\.servers=(127\.0\.0\.1:\d+)/.exec(said)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once('exit', () => reject(new Error(`kcat ended: ${said}`)))
    child.once('error', reject)
  })
  return {
    broker,
    read,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
