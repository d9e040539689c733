import './redis-setup.ts'

export default async function tearDown(): Promise<void> {
  await globalThis.portcullisSharedRedis?.stop()
}
