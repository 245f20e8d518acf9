/** @file GET /openapi.json: the routes and their schemas, as OpenAPI 3.1 writes them. */
import * as z from 'zod'
import { VERSION } from '../../public.js'
import { defineRoute, type Route } from '../http/route.js'

const errorBody = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.union([z.string(), z.int()]).nullable(),
  }),
})

const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): object => {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io })
  return json
}

const content = (schema: z.ZodType, io: 'input' | 'output') => ({ 'application/json': { schema: schemaOf(schema, io) } })

function operation({ summary, body, answer, open, path }: Route) {
  const names = [...path.matchAll(/\{(\w+)\+?\}/g)].map(([, name]) => name!)
  const answers =
    'media' in answer
      ? { [answer.media]: { schema: { type: 'string' } } }
      : {
          ...content(answer.json, 'output'),
          ...(answer.events && { 'text/event-stream': { schema: schemaOf(answer.events, 'output') } }),
        }
  return {
    summary,
    ...(names.length > 0 && {
      parameters: names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    }),
    ...(body && { requestBody: { required: true, content: content(body, 'input') } }),
    ...(open === true && { security: [] }),
    responses: {
      200: { description: 'The answer.', content: answers },
      default: { description: 'An error.', content: content(errorBody, 'output') },
    },
  }
}

/** The document of some routes. */
export function openApiDocument(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    const path = route.path.replace('+}', '}')
    paths[path] = { ...paths[path], [route.method]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'lowrank serve', version: VERSION, description: 'One base model, many adapters.' },
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    security: [{}, { key: [] }],
    paths,
  }
}

/** @param routes all of them, this one too */
export const openApi = (routes: () => readonly Route[]): Route =>
  defineRoute({
    method: 'get',
    path: '/openapi.json',
    summary: 'This document.',
    answer: { json: z.object({ openapi: z.string() }) },
    handle: () => Response.json(openApiDocument(routes())),
  })
