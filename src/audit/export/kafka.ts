import { withDeadline } from '../../deadline.ts'
import { UnavailableError } from '../../errors.ts'
import { checkOptions, objectWith, oneOf, required, wholeNumber, type Expectation } from '../../options.ts'
import type { Destination } from './exporter.ts'
import { EXPORT_FORMATS, exportLine, type ExportFormat } from './mapping.ts'

/**
 * The part of your own producer that is used. The producers of kafkajs and of `@confluentinc/kafka-javascript` (KafkaJS) have it.
 */
export interface KafkaProducer {
  send(record: {
    readonly topic: string
    readonly acks: number
    readonly messages: { key: string; value: string; headers: Record<string, string> }[]
  }): Promise<unknown>
}

export interface KafkaOptions {
  /** You connect and disconnect it. */
  readonly producer: KafkaProducer
  readonly topic: string
  /** Default `ndjson`: the value is the event as JSON. */
  readonly format?: ExportFormat | undefined
  /** The name of the cursor. Default `kafka`. */
  readonly name?: string | undefined
  /** How long the producer may take for a batch, in milliseconds. Default 30,000. */
  readonly timeout?: number | undefined
}

const A_NAME: Expectation = {
  expected: 'a non-empty string',
  accepts: (value) => typeof value === 'string' && value !== '',
}

/**
 * Sends events to a topic of Kafka through your own producer, one message for each event. A batch counts as sent when all in-sync
 * replicas have it (`acks: -1`). The key of a message is the id of its event, so that consumers can skip repetitions; the header
 * `app-id` is the app.
 *
 * @throws ConfigError
 */
export function kafka(options: KafkaOptions): Destination {
  const checked = checkOptions<KafkaOptions>('kafka', options, {
    producer: required(objectWith('a Kafka producer: an object with a method `send`', 'send')),
    topic: required(A_NAME),
    format: oneOf('one of the formats', EXPORT_FORMATS),
    name: A_NAME,
    timeout: wholeNumber('milliseconds', 1),
  })
  const { producer, topic, format = 'ndjson', name = 'kafka', timeout = 30_000 } = checked
  return {
    name,
    async send(events) {
      const messages = events.map((event) => ({
        key: event.id,
        value: exportLine(event, format),
        headers: event.appId === undefined ? {} : { 'app-id': event.appId },
      }))
      try {
        await withDeadline(producer.send({ topic, acks: -1, messages }), timeout, 'the Kafka producer')
      } catch (error) {
        throw new UnavailableError('Kafka did not accept the events', { cause: error })
      }
    },
  }
}
