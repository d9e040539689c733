// Three ways to use the guards with NestJS 11 on Express: before Nest's body parser with `app.use()`, as a middleware class for a
// route, and as functional middleware that uses the bytes kept by Nest. Callers sign with the secret in APP_SECRET.
import 'reflect-metadata'
import { randomBytes } from 'node:crypto'
import {
  Body,
  Controller,
  Get,
  HttpCode,
  Injectable,
  Module,
  Post,
  Req,
  type MiddlewareConsumer,
  type NestMiddleware,
  type NestModule,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import type { NextFunction, Request, Response } from 'express'
import {
  bodyParsers,
  createPolicySource,
  domainProtect,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  protect,
  serverOnly,
  type PolicyInput,
} from 'portcullis'

const policy: PolicyInput = {
  appId: 'example-shop',
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.1'] },
  domainProtect: { mode: 'enforce', domains: ['https://example.org'] },
  returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/callback/'] },
  regionPin: { mode: 'enforce' },
  auditAccess: { mode: 'enforce' },
}
const secret = process.env['APP_SECRET'] ?? randomBytes(32).toString('base64')
const store = memoryStore([{ policy, keys: [{ id: 'key-1', algorithm: 'hmac-sha256', secret }] }])
const policies = createPolicySource({ store })
const nonces = memoryNonces()

@Controller()
class AppController {
  /** After `protect()`. */
  @Post('auth/connect')
  @HttpCode(200)
  connect(@Req() req: Request, @Body() body: unknown): object {
    return { app: req.portcullis.appId, returnUrl: req.portcullis.returnUrl, body }
  }

  /** After the middleware class. */
  @Get('pages/me')
  me(@Req() req: Request): object {
    return { app: req.portcullis.appId }
  }

  /** After the functional middleware. */
  @Post('hooks')
  @HttpCode(200)
  hook(@Req() req: Request, @Body() body: unknown): object {
    return { app: req.portcullis.appId, body }
  }
}

@Injectable()
class PageGuard implements NestMiddleware {
  readonly #guard = domainProtect({ policies })

  use(req: Request, res: Response, next: NextFunction): void {
    this.#guard(req, res, next)
  }
}

@Module({ controllers: [AppController] })
class AppModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(PageGuard).forRoutes('pages')
    // Module middleware runs after Nest's parser, which consumes the bytes. `rawBody: true` below makes Nest keep them.
    consumer.apply(...bodyParsers({ rawBody: true }), serverOnly({ policies, nonces })).forRoutes('hooks')
  }
}

const app = await NestFactory.create<NestExpressApplication>(AppModule, { rawBody: true, logger: ['error'] })
// Between `create` and `listen`, so that the guards run before Nest's own body parser.
const guards = protect({
  policies,
  nonces,
  sink: memoryAuditSink(),
  here: 'frankfurt',
  country: async () => 'DE', // the citizenship that you have stored for the person
  returnUrl: { body: 'return_url', optional: true },
})
app.use('/auth', guards)
app.enableShutdownHooks()
await app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1')
console.log(`listening on ${await app.getUrl()}`)
