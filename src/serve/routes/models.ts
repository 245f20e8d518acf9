/** @file GET /v1/models and /v1/models/{id}: the base model and the adapters. */
import { modelNotFound } from '../http/api-error.js'
import { defineRoute } from '../http/route.js'
import { modelList, modelView } from '../schemas/models.js'
import type { Service } from '../service.js'
import { publicName } from '../text/model-name.js'

function views({ model, modelName, engine, created }: Service) {
  const common = { object: 'model', created, owned_by: 'lowrank' }
  const length = model.maxPositions > 0 ? { max_model_len: model.maxPositions } : {}
  return [
    { id: modelName, ...common, root: publicName(model.id), parent: null, ...length },
    ...engine.adapters
      .list()
      .map(({ name, path }) => ({ id: name, ...common, root: publicName(path), parent: modelName, ...length })),
  ]
}

export const listModels = defineRoute({
  method: 'get',
  path: '/v1/models',
  aliases: ['/models'],
  summary: 'The base model and the adapters that are loaded.',
  answer: { json: modelList },
  handle: ({ service }) => Response.json({ object: 'list', data: views(service) }),
})

export const oneModel = defineRoute({
  method: 'get',
  path: '/v1/models/{model+}',
  aliases: ['/models/{model+}'],
  summary: 'One of them; its name may have slashes.',
  answer: { json: modelView },
  handle({ service, params }) {
    const name = params['model']!
    const found = views(service).find(({ id }) => id === name)
    if (found === undefined) throw modelNotFound(name)
    return Response.json(found)
  },
})
