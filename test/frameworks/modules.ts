import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { repository } from '../support/commands.ts'
import type { RequestHandler } from 'express'
import type { GuardRequest } from 'portcullis'

// Uses `require` and own types, because the compiler also runs without these packages.
const load = createRequire(join(repository, 'test', 'frameworks', 'package.json'))

interface FastifyReply {
  send(body: unknown): unknown
}
interface FastifyRequest {
  readonly raw: IncomingMessage
  readonly body: unknown
  readonly portcullis: { readonly appId?: string; readonly returnUrl?: string }
}
export interface Fastify {
  register(plugin: unknown, options?: unknown): Promise<void>
  use(handler: unknown): void
  all(path: string, handler: (request: FastifyRequest, reply: FastifyReply) => unknown): void
  post(path: string, handler: (request: FastifyRequest, reply: FastifyReply) => unknown): void
  inject(request: object): Promise<{ readonly statusCode: number; readonly body: string; json(): unknown }>
  ready(): Promise<void>
  close(): Promise<void>
  readonly server: Server
  removeAllContentTypeParsers(): void
  addContentTypeParser(type: string, parser: (...given: never[]) => unknown): void
}

interface KoaContext {
  readonly req: GuardRequest
  readonly res: ServerResponse
  body: unknown
  respond?: boolean
}
interface Koa {
  use(middleware: (context: KoaContext, next: () => Promise<void>) => unknown): void
  on(event: string, listener: (...given: unknown[]) => void): void
  callback(): RequestListener
}

interface HonoContext {
  readonly env: unknown
  readonly req: { json(): Promise<unknown>; text(): Promise<string>; arrayBuffer(): Promise<ArrayBuffer> }
  json(body: unknown): Response
  get(key: string): unknown
}
interface Hono {
  use(path: string, middleware: unknown): void
  all(path: string, handler: (context: HonoContext) => unknown): void
  fetch: unknown
}

interface Multer {
  single(field: string): RequestHandler
}

export interface WebSocketLike {
  on(event: string, listener: (...given: never[]) => void): void
  once(event: string, listener: (...given: never[]) => void): void
  send(data: string): void
  close(): void
}

export const fastify = load('fastify') as (options?: object) => Fastify
export const middie = load('@fastify/middie') as unknown
export const Koa = load('koa') as new () => Koa
export const { Hono } = load('hono') as { Hono: new () => Hono }
export const { getRequestListener } = load('@hono/node-server') as {
  getRequestListener(fetch: unknown): RequestListener
}
export const multer = load('multer') as (options: object) => Multer
export const serverless = load('serverless-http') as (
  app: unknown,
) => (event: object, context: object) => Promise<{ readonly statusCode: number; readonly body: string }>
export const { WebSocket, WebSocketServer } = load('ws') as {
  WebSocket: new (url: string, options?: object) => WebSocketLike
  WebSocketServer: new (options: object) => {
    on(event: string, listener: (socket: WebSocketLike, req: IncomingMessage) => void): void
    handleUpgrade(
      req: IncomingMessage,
      socket: Duplex,
      head: Buffer,
      done: (socket: WebSocketLike) => void,
    ): void
    close(): void
  }
}
