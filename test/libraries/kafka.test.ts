import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import {
  auditLog,
  createExporter,
  kafka,
  memoryFrames,
  parseEvent,
  type KafkaProducer,
} from 'portcullis/audit'
import { until } from '../support/redis.ts'
import { fieldEvent } from '../unit/audit/events.ts'
import { mockKafka, type MockKafka } from './mock-kafka.ts'
import { folder } from './setup.ts'

interface Connectable extends KafkaProducer {
  connect(): Promise<void>
  disconnect(): Promise<void>
}

// Uses `require` and own types, because the compiler also runs without this package.
const { Kafka } = createRequire(join(folder, 'package.json'))('kafkajs') as {
  Kafka: new (options: object) => { producer(options?: object): Connectable }
}

const TOPIC = 'audit'
const started: { stop(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of started.splice(0).toReversed()) await each.stop()
})

async function cluster(): Promise<MockKafka> {
  const kafkaServer = await mockKafka(TOPIC)
  started.push(kafkaServer)
  return kafkaServer
}

async function producerOf({ broker }: MockKafka): Promise<Connectable> {
  const client = new Kafka({ brokers: [broker], logLevel: 0, retry: { retries: 1, initialRetryTime: 50 } })
  const producer = client.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  started.push({ stop: () => producer.disconnect() })
  return producer
}

/** A cursor in memory. */
function cursorsOf(): {
  places: Map<string, string>
  read(name: string): Promise<string | undefined>
  write(name: string, place: string): Promise<void>
} {
  const places = new Map<string, string>()
  return {
    places,
    read: async (name) => places.get(name),
    write: async (name, place) => void places.set(name, place),
  }
}

/** kafkajs as the producer, and the broker and the consumer of librdkafka: two other implementations of the protocol. */
describe('a Kafka destination', () => {
  it('sends each event as a message readable by another client, with its id as the key and its app in a header', async () => {
    const server = await cluster()
    const store = memoryFrames()
    const log = auditLog({ store })
    const all = Array.from({ length: 300 }, (_, index) =>
      fieldEvent(`e${index}`, { field: `f\u00e9${index}` }),
    )
    await log.write(all)
    const exporter = createExporter({
      store,
      destination: kafka({ producer: await producerOf(server), topic: TOPIC }),
      cursors: cursorsOf(),
    })
    await until('the consumer has all', async () => server.read.length >= all.length)
    await exporter.close()
    expect(server.read.map(({ key }) => key).toSorted()).toEqual(all.map(({ id }) => id).toSorted())
    for (const { key, value, headers } of server.read) {
      expect(parseEvent(value)).toMatchObject({
        id: key,
        kind: 'field',
        field: all.find(({ id }) => id === key)?.field,
      })
      expect(headers).toBe(`app-id=${fieldEvent('x').appId}`)
    }
    await log.close()
  })

  it('loses nothing and is reported while its brokers are unreachable, and receives the rest when they are back', async () => {
    const first = await cluster()
    const store = memoryFrames()
    const log = auditLog({ store })
    const told: string[] = []
    let producer = await producerOf(first)
    const exporter = createExporter({
      store,
      // The current producer, because a program may reconnect.
      destination: kafka({
        producer: { send: (record) => producer.send(record) },
        topic: TOPIC,
        timeout: 5_000,
      }),
      cursors: cursorsOf(),
      interval: 50,
      onError: ({ message }) => told.push(message),
    })
    await log.write([fieldEvent('before')])
    await until('the first one came', async () => exporter.place !== undefined && first.read.length === 1)
    await first.stop()
    await log.write([fieldEvent('meanwhile-1'), fieldEvent('meanwhile-2')])
    await until('it has failed', async () => told.length > 0)
    expect(new Set(told)).toEqual(new Set(['Kafka did not accept the events']))
    expect(exporter.failing).toBe(true)
    const second = await cluster()
    producer = await producerOf(second)
    await until('the rest came', async () => new Set(second.read.map(({ key }) => key)).size === 2)
    await exporter.close()
    expect(new Set(second.read.map(({ key }) => key))).toEqual(new Set(['meanwhile-1', 'meanwhile-2']))
    await log.close()
  })

  it('refuses anything that is not a producer', () => {
    expect(() => kafka({ producer: {} as KafkaProducer, topic: TOPIC })).toThrow('kafka.producer')
    expect(() => kafka({ producer: { send: async () => undefined }, topic: '' })).toThrow('kafka.topic')
  })
})
