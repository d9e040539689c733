import { writeFile, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import { repository, run } from '../support/commands.ts'

const program = `
import fastify from 'fastify'
import { Hono } from 'hono'
import { serve, type HttpBindings } from '@hono/node-server'
import { createServer } from 'node:http'
import { createPolicySource, guardUpgrade, memoryStore, ipWhitelist, protectServer } from 'portcullis'
import { portcullisFastify, type PortcullisContext } from 'portcullis/fastify'
import { portcullisHono } from 'portcullis/hono'

declare module 'fastify' {
  interface FastifyRequest {
    portcullis: PortcullisContext
  }
}

const policies = createPolicySource({ store: memoryStore([]) })
const app = fastify()
await app.register(portcullisFastify, { guards: ipWhitelist({ policies }) })
await app.register(portcullisFastify, { guards: [ipWhitelist({ policies })] })
// @ts-expect-error -- a wrong option is found by the compiler
await app.register(portcullisFastify, { guard: ipWhitelist({ policies }) })
app.get('/', (request) => request.portcullis.appId)

const plain = new Hono()
plain.use('/*', portcullisHono(ipWhitelist({ policies })))
const typed = new Hono<{ Bindings: HttpBindings; Variables: { portcullis: PortcullisContext } }>()
typed.use('/auth/*', portcullisHono([ipWhitelist({ policies })]))
typed.get('/auth/me', (c) => c.json({ app: c.get('portcullis').appId }))
const server = serve(typed)
guardUpgrade(server, { guards: ipWhitelist({ policies }) })
export const inFront = createServer(protectServer(() => undefined, {} as never))
`

it('the types of Fastify and Hono accept the exports of our entries', async () => {
  const folder = await mkdtemp(join(repository, 'test', 'frameworks', 'node_modules', '.types-'))
  try {
    await writeFile(join(folder, 'program.mts'), program)
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: join(repository, 'tsconfig.json'),
        compilerOptions: {
          typeRoots: [join(repository, 'node_modules', '@types')],
          lib: ['es2023', 'dom', 'dom.iterable'],
          paths: {
            portcullis: [join(repository, 'src/index.ts')],
            'portcullis/*': [join(repository, 'src/*/index.ts')],
          },
        },
        include: ['program.mts'],
        exclude: [],
      }),
    )
    const compiled = await run(process.execPath, [
      join(repository, 'node_modules', 'typescript', 'bin', 'tsc'),
      '-p',
      folder,
    ])
    expect(compiled).toEqual({ succeeded: true, output: '' })
  } finally {
    await rm(folder, { recursive: true })
  }
})
