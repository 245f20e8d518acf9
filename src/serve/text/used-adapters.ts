/** @file Which adapters a request asks for, in whichever way it says so. */
import { FileError, HubError } from '../../public.js'
import type { UsedAdapter } from '../engine/text-request.js'
import { invalidRequest, modelNotFound } from '../http/api-error.js'
import type { SubjectFields } from '../schemas/fields.js'
import type { Service } from '../service.js'

/** The service's parts that this needs. */
type Named = Pick<Service, 'engine' | 'modelName'>

/**
 * The adapters of a request: that of `model`, or those of `lora`, `adapter_id` or `adapters`; of a request that names none those that
 * the server has for all (POST /lora-adapters).
 * @throws ApiError 404 for a name that is not known, 400 for contradictions; what loading throws, for one that is loaded now
 */
export async function usedAdapters(service: Named, fields: SubjectFields): Promise<readonly UsedAdapter[]> {
  const { model = service.modelName } = fields
  const ways = (['lora', 'adapter_id', 'adapters'] as const).filter((name) => fields[name] !== undefined)
  const [way, another] = ways
  if (another !== undefined) throw invalidRequest(`\`${way}\` and \`${another}\` both name adapters; give one of them.`, another)
  if (model !== service.modelName) {
    const found = await whole(service, model, 'model')
    if (way === undefined) return [found]
    throw invalidRequest(`\`model\` names the adapter ${model}, and \`${way}\` names others; give one of them.`, way)
  }
  if (fields.adapter_id !== undefined) return [await whole(service, fields.adapter_id, 'adapter_id')]
  if (fields.adapters !== undefined) return [await whole(service, fields.adapters, 'adapters')]
  if (fields.lora === undefined) return service.engine.adapters.defaults()
  const asked = await Promise.all(fields.lora.map((entry, i) => listed(service, entry, `lora[${i}]`)))
  const twice = asked.find(({ name }, i) => asked.findIndex((other) => other.name === name) !== i)
  if (twice !== undefined) throw invalidRequest(`\`lora\` names the adapter ${twice.name} twice.`, 'lora')
  return asked.filter(({ scale }) => scale !== 0)
}

/** An adapter as it was trained. */
async function whole({ engine }: Named, name: string, param: string): Promise<UsedAdapter> {
  const found = await engine.adapters.resolve(name).catch((error: unknown) => {
    // An id of the hub that --allow-hub lets through, and that is not there or out of reach; the log says which.
    if (error instanceof HubError || error instanceof FileError) throw modelNotFound(name, param, error)
    throw error
  })
  if (found === undefined) throw modelNotFound(name, param)
  return { name: found.name, scale: 1 }
}

type Entry = NonNullable<SubjectFields['lora']>[number]

async function listed(service: Named, { id, name, scale = 1 }: Entry, param: string): Promise<UsedAdapter> {
  if ((id === undefined) === (name === undefined)) throw invalidRequest(`\`${param}\` must have either an id or a name.`, param)
  if (name !== undefined) return { ...(await whole(service, name, param)), scale }
  const found = service.engine.adapters.list().find((adapter) => adapter.id === id)
  if (found === undefined)
    throw invalidRequest(`\`${param}.id\`: there is no adapter ${id}; GET /lora-adapters lists them.`, param)
  return { name: found.name, scale }
}
