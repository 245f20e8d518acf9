/** @file What a server says of itself: /health, /ready, /metrics, /props, /version. */
import * as z from 'zod'
import { VERSION } from '../../public.js'
import { unavailable } from '../http/api-error.js'
import { defineRoute } from '../http/route.js'
import { health, props } from '../schemas/models.js'
import { publicName } from '../text/model-name.js'

export const healthy = defineRoute({
  method: 'get',
  path: '/health',
  aliases: ['/v1/health'],
  summary: 'Whether the server is alive.',
  open: true,
  answer: { json: health },
  handle: () => Response.json({ status: 'ok' }),
})

/** Why it takes no requests. */
const reasons = { warming: 'Loading model', draining: 'The server is shutting down.' }

export const ready = defineRoute({
  method: 'get',
  path: '/ready',
  summary: 'Whether it takes requests: not while it warms up, and not while it shuts down.',
  open: true,
  answer: { json: health },
  handle({ service: { state } }) {
    if (state !== 'ready') throw unavailable(reasons[state])
    return Response.json({ status: 'ready' })
  },
})

export const metrics = defineRoute({
  method: 'get',
  path: '/metrics',
  summary: "Counters, gauges and histograms in Prometheus' text format.",
  answer: { media: 'text/plain' },
  handle: ({ service }) =>
    new Response(service.metrics.exposition(), { headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } }),
})

export const version = defineRoute({
  method: 'get',
  path: '/version',
  summary: 'The version of the server.',
  answer: { json: z.object({ version: z.string() }) },
  handle: () => Response.json({ version: VERSION }),
})

export const serverProps = defineRoute({
  method: 'get',
  path: '/props',
  summary: 'What the server runs, as llama.cpp tells it.',
  answer: { json: props },
  handle({ service: { model, modelName, tokenizer, options } }) {
    const name = (id: number | undefined): string => (id === undefined ? '' : (tokenizer?.tokenText(id) ?? ''))
    return Response.json({
      default_generation_settings: {
        n_ctx: model.maxPositions,
        params: {
          ...{ temperature: 1, top_k: 0, top_p: 1, min_p: 0, repeat_penalty: 1, presence_penalty: 0, frequency_penalty: 0 },
          ...{ seed: -1, n_predict: -1, max_tokens: -1, stop: [], ignore_eos: false, stream: false },
        },
      },
      total_slots: options.maxRows,
      model_alias: modelName,
      model_path: publicName(model.id),
      chat_template: tokenizer?.chatTemplate ?? '',
      bos_token: name(tokenizer?.bosTokenId),
      eos_token: name(tokenizer?.eosTokenId),
      modalities: { vision: false, audio: false },
      build_info: `lowrank-${VERSION}`,
      is_sleeping: false,
    })
  },
})
