import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { compiled } from '../../support/compiled.ts'
import { program, start, type Ended } from '../../support/command-line.ts'
import { run } from '../../support/commands.ts'
import { startRedis, type RedisServer } from '../../support/redis.ts'

const folder = mkdtempSync(join(tmpdir(), 'portcullis-processes-'))
const vaultKey = Buffer.alloc(32, 7).toString('base64')
const env = { PORTCULLIS_VAULT_KEY: vaultKey, PORTCULLIS_STORE: 'file:store', USER: 'tester' }
const portcullis = (
  args: readonly string[],
  more: { input?: string; env?: Record<string, string> } = {},
): Promise<Ended> => start(args, { directory: folder, input: more.input, env: { ...env, ...more.env } }).ended

/** Runs a command in a shell, with pipes and redirections. */
const shell = (
  line: string,
  more: Record<string, string> = {},
): Promise<{ succeeded: boolean; output: string }> =>
  run('/bin/bash', ['--norc', '-o', 'pipefail', '-c', line], {
    cwd: folder,
    env: { PATH: process.env['PATH'], NODE: process.execPath, PORTCULLIS: program(), ...env, ...more },
  })

beforeAll(async () => {
  const lines = Array.from(
    { length: 200_000 },
    (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}\n`,
  )
  writeFileSync(join(folder, 'long.txt'), lines.join(''))
  await portcullis(['app', 'create', 'shop'])
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('as a process', () => {
  it('writes the result to standard output, and everything else to standard error', async () => {
    const created = await portcullis(['key', 'create', 'shop'])
    expect(created).toEqual({
      code: 0,
      out: expect.stringMatching(/^\S{44}\n$/),
      error: expect.stringContaining('this secret is shown only once'),
    })
    expect(await portcullis(['app', 'show', 'nobody'])).toMatchObject({ code: 3, out: '' })
    expect(await portcullis(['app', 'shwo'])).toMatchObject({ code: 2, out: '' })
  })

  it('reads standard input only if a command needs it', async () => {
    const set = await portcullis(['policy', 'set', '-'], { input: '{"appId":"shop","name":"Piped"}' })
    expect(set).toMatchObject({ code: 0, out: 'shop is at revision 3\n' })
    expect((await portcullis(['app', 'delete', 'shop'], { input: 'shop\n' })).code).toBe(2)
  })

  it('exits quietly if the reader of a pipe closes it', async () => {
    expect((await portcullis(['list', 'import', 'long', 'long.txt'])).code).toBe(0)
    const piped = await shell('"$NODE" "$PORTCULLIS" list export long | head -1')
    expect(piped).toEqual({ succeeded: true, output: '10.0.0.0' })
  })

  it('keeps secrets out of the store file, the history and the arguments', async () => {
    const created = await portcullis(['key', 'create', 'shop', '--json'])
    const { secret } = JSON.parse(created.out)
    const stored = readFileSync(join(folder, 'store', 'policies.json'), 'utf8')
    expect([secret.length, stored.includes(secret), stored.includes(vaultKey)]).toEqual([44, false, false])
    for (const url of ['redis://:hunter2@127.0.0.1:1', 'redis://user:hunter2@127.0.0.1:1'])
      for (const option of ['--redis', '--store']) {
        const refused = await portcullis(['app', 'list', option, url])
        expect([refused.code, refused.error.includes('hunter2')]).toEqual([2, false])
      }
  })
})

// `script` of util-linux gives a process its own terminal.
describe('on a terminal', () => {
  /** What a person sees who types the input. */
  const typed = async (line: string, input: string, more: Record<string, string> = {}): Promise<string> => {
    const { output } = await shell(
      `printf '%s' "$INPUT" | script -qec '"$NODE" "$PORTCULLIS" ${line}' /dev/null; echo "code $?"`,
      { TERM: 'xterm', INPUT: input, ...more },
    )
    return output
  }

  it('prints colours, unless NO_COLOR or TERM=dumb is set', async () => {
    writeFileSync(join(folder, 'p.json'), '{"appId":"p"}')
    expect(await typed('policy validate p.json', '')).toContain('\u001B[32mgood\u001B[0m')
    expect(await typed('policy validate p.json', '', { NO_COLOR: '1' })).toContain('p.json: good')
    expect(await typed('policy validate p.json', '', { TERM: 'dumb' })).toContain('p.json: good')
    const piped = await portcullis(['policy', 'validate', 'p.json'])
    expect(piped.out).toBe('p.json: good\n')
    expect((await portcullis(['policy', 'validate', 'p.json'], { env: { FORCE_COLOR: '1' } })).out).toContain(
      '\u001B[32m',
    )
  })

  it('asks before it removes something, and obeys the answer', async () => {
    await portcullis(['app', 'create', 'asked'])
    const no = await typed('app delete asked', 'n\n')
    expect(no).toMatch(/Type `asked` to continue: [^]*nothing was changed[^]*code 3/)
    const yes = await typed('app delete asked', 'asked\n')
    expect(yes).toMatch(/Type `asked` to continue: [^]*removed asked[^]*code 0/)
  })

  it('does not ask with --json', async () => {
    expect(await typed('key revoke shop shop-1 --json', 'shop-1\n')).toMatch(/--yes[^]*code 2/)
  })
})

describe('an import that is interrupted', () => {
  let server: RedisServer
  let redis: Redis
  beforeAll(async () => {
    server = await startRedis()
    redis = new Redis(server.url)
  })
  afterAll(async () => {
    redis.disconnect()
    await server.stop()
  })
  const toRedis = (): Record<string, string> => ({
    ...env,
    PORTCULLIS_STORE: '',
    PORTCULLIS_REDIS_URL: server.url,
  })
  const args = ['list', 'import', 'long', 'long.txt']

  /** The number of chunks sent. */
  async function sent(): Promise<number> {
    return Number(/cmdstat_set:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0)
  }

  it('leaves the list unchanged, and resumes where it stopped', async () => {
    writeFileSync(join(folder, 'short.txt'), '192.0.2.1\n')
    const before = start(['list', 'import', 'long', 'short.txt'], { directory: folder, env: toRedis() })
    expect((await before.ended).code).toBe(0)
    await redis.config('RESETSTAT')
    const running = start(args, { directory: folder, env: toRedis() })
    await running.said('20 % of')
    running.kill('SIGINT')
    const ended = await running.ended
    expect(ended).toMatchObject({
      code: 130,
      out: '',
      error: expect.stringContaining('run the same command within an hour to resume'),
    })
    const first = await sent()
    const exported = await start(['list', 'export', 'long'], { directory: folder, env: toRedis() }).ended
    expect(exported.out).toBe('192.0.2.1\n')

    await redis.config('RESETSTAT')
    const again = await start(args, { directory: folder, env: toRedis() }).ended
    expect([again.code, again.out]).toEqual([0, 'long is at revision 2 with 200,000 entries\n'])
    const second = await sent()
    const whole = Number(await redis.hget('portcullis:list:{long}', 'chunks'))
    // Some of them were in flight when it was interrupted.
    expect([first > whole / 8, second < whole - first + 8, first + second >= whole]).toEqual([
      true,
      true,
      true,
    ])
    const all = await start(['list', 'export', 'long'], { directory: folder, env: toRedis() }).ended
    expect(all.out).toBe(readFileSync(join(folder, 'long.txt'), 'utf8'))
    // The chunks of the replaced list are kept for a minute.
    const version = await redis.hget('portcullis:list:{long}', 'version')
    for (const index of [0, whole - 1])
      expect(await redis.ttl(`portcullis:list:{long}:${version ?? ''}:${index}`)).toBe(-1)
  })

  it('in a file store, leaves the list unchanged, and can be repeated', async () => {
    await portcullis(['list', 'import', 'filed', 'short.txt'])
    const running = start(['list', 'import', 'filed', 'long.txt'], { directory: folder, env })
    await running.said('10 % of')
    running.kill('SIGINT')
    expect((await running.ended).code).toBe(130)
    expect((await portcullis(['list', 'export', 'filed'])).out).toBe('192.0.2.1\n')
    expect((await portcullis(['list', 'import', 'filed', 'long.txt'])).code).toBe(0)
  })
})

describe('without ioredis', () => {
  it('says how to install it', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'portcullis-without-'))
    const compiledFolder = dirname(dirname(dirname(compiled('src/cli/main.ts'))))
    mkdirSync(join(copy, 'package'))
    cpSync(join(compiledFolder, 'src'), join(copy, 'package', 'src'), { recursive: true })
    writeFileSync(join(copy, 'package', 'package.json'), '{"type":"module"}')
    // Copies what the built package contains.
    mkdirSync(join(copy, 'node_modules'))
    for (const name of [
      'zod',
      'ipaddr.js',
      'cors',
      'lru-cache',
      'structured-headers',
      'object-assign',
      'vary',
      'tldts',
      'tldts-core',
    ])
      cpSync(join(process.cwd(), 'node_modules', name), join(copy, 'node_modules', name), { recursive: true })
    let printed = ''
    try {
      execFileSync(
        process.execPath,
        [join(copy, 'package', 'src', 'cli', 'main.js'), 'app', 'list', '--redis', 'redis://127.0.0.1:1'],
        {
          stdio: 'pipe',
          encoding: 'utf8',
        },
      )
    } catch (error) {
      printed = `${(error as { status: number }).status} ${(error as { stderr: string }).stderr}`
    }
    rmSync(copy, { recursive: true })
    expect(printed).toMatch(/^2 .*`ioredis`, which is not installed: run `npm install ioredis`/)
  })
})
