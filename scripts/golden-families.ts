/** @file What of each model_type is compared with transformers and PEFT, told by the fixtures that there are. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isObject } from '../src/util/json.js'

const parse = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))

/** Every model_type that stands anywhere in a value. */
function modelTypesIn(value: unknown): string[] {
  if (Array.isArray(value)) return typeof value[0] === 'number' ? [] : value.flatMap(modelTypesIn)
  if (!isObject(value)) return []
  const own = value['model_type']
  return [...(typeof own === 'string' ? [own] : []), ...Object.values(value).flatMap(modelTypesIn)]
}

/** The model types with cases of logits, and those with losses and gradients of adapters as well. */
export function goldenFamilies(): { readonly logits: ReadonlySet<string>; readonly gradients: ReadonlySet<string> } {
  const [models, peft] = ['test/fixtures/models', 'test/fixtures/golden/peft']
  const cases = readdirSync(models).filter((name) => /^(logits.*|encoders)\.json$/.test(name))
  const configs = readdirSync(peft)
    .map((name) => `${peft}/${name}/model/config.json`)
    .filter((path) => existsSync(path))
  return {
    logits: new Set(cases.flatMap((name) => modelTypesIn(parse(`${models}/${name}`)))),
    gradients: new Set(configs.flatMap((path) => modelTypesIn(parse(path)))),
  }
}
