/** @file POST /v1/load_lora_adapter and /v1/unload_lora_adapter, as vLLM has them; GET and POST /lora-adapters, as llama.cpp has them. */
import { FileError, HubError } from '../../public.js'
import { AdapterExistsError, UnknownAdapterError } from '../engine/errors.js'
import { ApiError, invalidRequest } from '../http/api-error.js'
import { defineRoute } from '../http/route.js'
import { adapterList, adapterScales, loadAdapterRequest, success, unloadAdapterRequest } from '../schemas/models.js'
import type { Service } from '../service.js'
import { publicName } from '../text/model-name.js'

const userError = (message: string, param?: string): ApiError =>
  new ApiError(400, message, { type: 'InvalidUserInput', code: 400, ...(param !== undefined && { param }) })

const notFound = (message: string, cause?: unknown): ApiError =>
  new ApiError(404, message, { type: 'NotFoundError', code: 404, cause })

function checkAllowed({ options }: Service): void {
  if (options.allowRuntimeAdapters) return
  throw new ApiError(403, 'Requests may not change the adapters of this server; start it with --allow-runtime-adapters.', {
    code: 'runtime_adapters_off',
  })
}

const done = (name: string, what: string): Response =>
  new Response(`Success: LoRA adapter '${name}' ${what} successfully.`, {
    headers: { 'content-type': 'text/plain; charset=utf-8' },
  })

/** A name that models and adapters can have in requests: no more than a line of a log has room for, nothing that is not seen. */
const NAME = /^[^\p{Cc}\p{Bidi_Control}\p{White_Space}]{1,256}$/u

export const loadAdapter = defineRoute({
  method: 'post',
  path: '/v1/load_lora_adapter',
  summary: 'Loads an adapter; one that does not fit is refused, and all stays as it was.',
  body: loadAdapterRequest,
  answer: { media: 'text/plain' },
  async handle({ service, body }) {
    checkAllowed(service)
    const { lora_name: name, lora_path: path, load_inplace: inPlace = false } = body
    if (!name || !path) throw userError("Both 'lora_name' and 'lora_path' must be provided.")
    if (!NAME.test(name) || name === service.modelName)
      throw userError(`'lora_name' must be a name without white space that is not the base model's.`, 'lora_name')
    const found = await service.places.allowed(path)
    if (found === undefined)
      throw notFound(
        `No adapter found for '${path}': it must be a folder with adapter_config.json in the server's --adapters-dir, or a hub id that --allow-hub allows.`,
      )
    try {
      await service.engine.adapters.load(name, found.path, { inPlace, ...(found.bases && { bases: found.bases }) })
    } catch (error) {
      if (error instanceof AdapterExistsError) throw userError(`The lora adapter '${name}' has already been loaded.`, 'lora_name')
      if (error instanceof FileError || error instanceof HubError)
        throw notFound(`No adapter found for '${publicName(path)}': it could not be read.`, error)
      throw error
    }
    return done(name, 'added')
  },
})

export const unloadAdapter = defineRoute({
  method: 'post',
  path: '/v1/unload_lora_adapter',
  summary: 'Unloads an adapter; answers when the requests that use it are done.',
  body: unloadAdapterRequest,
  answer: { media: 'text/plain' },
  async handle({ service, body }) {
    checkAllowed(service)
    const { lora_name: name, lora_int_id: id } = body
    if (!name) throw userError("'lora_name' must be provided.")
    const known = service.engine.adapters.list().find((adapter) => adapter.name === name)
    if (known !== undefined && id !== undefined && known.id !== id)
      throw userError(`'lora_int_id' ${id} is not that of '${name}', which is ${known.id}.`, 'lora_int_id')
    try {
      await service.engine.adapters.unload(name)
    } catch (error) {
      if (error instanceof UnknownAdapterError) throw notFound(`The lora adapter '${name}' cannot be found.`, error)
      throw error
    }
    return done(name, 'removed')
  },
})

export const listAdapters = defineRoute({
  method: 'get',
  path: '/lora-adapters',
  summary: 'The adapters by number, and how much each counts in requests that name none.',
  answer: { json: adapterList },
  handle: ({ service }) =>
    Response.json(service.engine.adapters.list().map(({ id, name, defaultScale: scale }) => ({ id, path: name, scale }))),
})

export const scaleAdapters = defineRoute({
  method: 'post',
  path: '/lora-adapters',
  summary: 'Sets how much adapters count in requests that name none; those that are not listed count nothing.',
  body: adapterScales,
  answer: { json: success },
  handle({ service, body }) {
    checkAllowed(service)
    const { adapters } = service.engine
    const known = adapters.list()
    const scales = new Map(body.map(({ id, scale }) => [id, scale]))
    for (const id of scales.keys())
      if (!known.some((adapter) => adapter.id === id))
        throw invalidRequest(`There is no adapter ${id}; GET /lora-adapters lists them.`, 'id')
    for (const { id, name } of known) adapters.setDefaultScale(name, scales.get(id) ?? 0)
    return Response.json({ success: true })
  },
})
