import * as z from 'zod/mini'
import { CONSOLE_PROBLEMS } from './problems.ts'
import type { Route } from './route.ts'

/** The OpenAPI 3.1 document of the API, generated from its table of routes. */
export function openApiDocument(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Portcullis console',
      version: '1',
      description:
        'Programs send a token of `consoleTokens` as `Authorization: Bearer`. With a session send `X-CSRF-Token` of `GET /session` with ' +
        'every change. A change of a revision needs `If-Match` with its entity tag.',
    },
    servers: [{ url: '.' }],
    paths,
    components: {
      securitySchemes: {
        session: { type: 'apiKey', in: 'cookie', name: '__Host-portcullis-console' },
        token: { type: 'http', scheme: 'bearer' },
      },
      schemas: {
        Problem: {
          type: 'object',
          required: ['type', 'title', 'status', 'code', 'instance'],
          properties: {
            type: { type: 'string' },
            title: { type: 'string' },
            status: { type: 'integer' },
            code: { type: 'string', enum: Object.keys(CONSOLE_PROBLEMS) },
            instance: { type: 'string' },
          },
        },
      },
    },
  }
}

function operationOf({ path, access, summary, body, conditional }: Route): object {
  const parameters = [...path.matchAll(/:(\w+)/g)].map(([, name]) => parameter(name ?? '', 'path'))
  const content = body === undefined ? undefined : z.toJSONSchema(body() as z.ZodMiniType, { io: 'input' })
  return {
    summary,
    ...(access === 'anyone' ? { security: [] } : { security: [{ session: [] }, { token: [] }] }),
    ...(typeof access === 'string' ? {} : { 'x-rights': access }),
    parameters: [...parameters, ...(conditional === true ? [parameter('If-Match', 'header')] : [])],
    ...(content && { requestBody: { required: true, content: { 'application/json': { schema: content } } } }),
    responses: {
      '200': { description: 'Done.', content: { 'application/json': {} } },
      default: {
        description: 'Refused.',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  }
}

function parameter(name: string, place: 'path' | 'header'): object {
  return { name, in: place, required: true, schema: { type: 'string' } }
}
