/**
 * @file An adapter's names as the model has them: those of other versions of transformers are told by the adapter's tensors,
 * and its configuration is read in them, exactly as PEFT read it then.
 */
import type { LoraConfig } from '../adapters/lora-config.js'
import { completeLoraConfig } from '../adapters/complete-lora-config.js'
import { PREFIX, type LoraTarget } from '../adapters/lora.js'
import { isSavedPath, pathOf } from '../adapters/adapter-parts.js'
import { exactly, matchTargets, minimalSuffixes } from '../adapters/targets.js'
import type { TargetModule } from '../graph/target-module.js'
import type { HostTensor } from '../graph/types.js'
import type { Architecture } from '../models/architecture.js'
import { namingsOf, type Naming } from '../models/former-names.js'
import { architectures } from '../models/registry.js'
import { FolderModel } from '../model/folder-model.js'
import type { Model } from '../model/model.js'
import { OnnxModel } from '../onnx-model/onnx-model.js'

/** An adapter in the names of its model. */
export interface NamedAdapter {
  /** Complete: with the architecture's targets where it named none. */
  readonly config: LoraConfig
  readonly targets: readonly LoraTarget[]
  readonly tensors: ReadonlyMap<string, HostTensor>
  /** Tensors of modules that the model's checkpoint has and its graph has not. */
  readonly unread: ReadonlyMap<string, HostTensor>
}

/** The family of a model, where it is one of those we know. */
export function architectureOf(model: Model): Architecture | undefined {
  if (model instanceof FolderModel) return model.architecture
  const type = model instanceof OnnxModel ? model.config?.json['model_type'] : undefined
  return architectures.find(({ modelTypes }) => modelTypes.some((known) => known === type))
}

/** Every path that an adapter may speak of: layers, and whatever has weights. */
const pathsOf = ({ modules, weights }: Model): Set<string> =>
  new Set([...modules.keys(), ...[...weights.keys()].map(pathOf)].filter((path) => path !== ''))

/** The longest of the paths that a tensor's name begins with. */
function ownerOf<T>(paths: ReadonlyMap<string, T>, name: string): { owner: T; rest: string } | undefined {
  for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
    const owner = paths.get(name.slice(0, dot))
    if (owner !== undefined) return { owner, rest: name.slice(dot) }
  }
  return undefined
}

interface Reading {
  readonly naming: Naming
  readonly tensors: Map<string, HostTensor>
  readonly unread: Map<string, HostTensor>
  /** Tensors of modules that the model has. */
  readonly known: number
  /** Whether a module that the model has is called otherwise. */
  readonly renamed: boolean
}

/** The tensors read as if their names were of that kind. */
function readAs(
  naming: Naming,
  paths: ReadonlySet<string>,
  given: ReadonlyMap<string, HostTensor>,
  unreadModules: RegExp | undefined,
): Reading {
  const byFormer = new Map([...paths].map((path) => [naming.then(path), path]))
  const tensors = new Map<string, HostTensor>()
  const unread = new Map<string, HostTensor>()
  let known = 0
  let renamed = false
  for (const [key, tensor] of given) {
    const name = key.slice(PREFIX.length)
    const found = ownerOf(byFormer, name)
    const now = found === undefined ? naming.now(name) : found.owner + found.rest
    if (found === undefined && unreadModules?.test(now) === true) unread.set(PREFIX + now, tensor)
    else {
      tensors.set(found === undefined ? key : PREFIX + now, tensor)
      if (found === undefined) continue
      known++
      renamed ||= now !== name
    }
  }
  return { naming, tensors, unread, known, renamed }
}

/**
 * Reads an adapter in the names that fit the model best; its own go first.
 * @param given configuration and tensors as the file holds them, by PEFT's keys
 * @throws InvalidOptionError if the configuration is no valid one, or its targets match no layer of the model
 */
export function inNamesOf(model: Model, given: LoraConfig, stored: ReadonlyMap<string, HostTensor>): NamedAdapter {
  const architecture = architectureOf(model)
  const complete = completeLoraConfig(given, model.defaultTargetModules)
  const paths = pathsOf(model)
  const namings = architecture === undefined ? [{ then: (p: string) => p, now: (p: string) => p }] : namingsOf(architecture)
  let best: Reading | undefined
  for (const naming of namings) {
    const reading = readAs(naming, paths, stored, architecture?.unreadModules)
    const more = best === undefined ? 1 : reading.known + reading.unread.size - (best.known + best.unread.size)
    if (more > 0) best = reading
    if (reading.known + reading.unread.size === stored.size) break
  }
  const { naming, tensors, unread, renamed } = best!
  const named = renamed
    ? translated(model, given, complete, naming)
    : { config: complete, targets: matchTargets(model.modules, complete, { anyRank: true }) }
  return { ...named, tensors, unread }
}

const sameTargets = (a: readonly LoraTarget[], b: readonly LoraTarget[]): boolean =>
  a.length === b.length &&
  a.every(({ module, r, alpha }, i) => module.name === b[i]!.module.name && r === b[i]!.r && alpha === b[i]!.alpha)

/** What the configuration matches by the names of its time, said in those of the model. */
function translated(
  model: Model,
  given: LoraConfig,
  complete: LoraConfig,
  { then }: Naming,
): { config: LoraConfig; targets: readonly LoraTarget[] } {
  const { modules } = model
  // The architecture's own targets are today's.
  if (given.targetModules === null) return { config: complete, targets: matchTargets(modules, complete, { anyRank: true }) }
  const formerly = new Map(
    [...modules].map(([name, module]): [string, TargetModule] => [then(name), { ...module, name: then(name) }]),
  )
  const today = new Map([...modules.keys()].map((name) => [then(name), modules.get(name)!]))
  const targets = matchTargets(formerly, complete, { anyRank: true }).map((target) => ({
    ...target,
    module: today.get(target.module.name)!,
  }))
  const rest = { ...complete, ...savedToday(model, complete, then) }
  const asItIs = { config: rest, targets: matched(modules, rest) }
  if (asItIs.targets !== undefined && sameTargets(asItIs.targets, targets)) return { config: rest, targets }
  const names = targets.map(({ module }) => module.name)
  const wanted = new Set(names)
  const config: LoraConfig = {
    ...rest,
    targetModules: minimalSuffixes(
      names,
      [...pathsOf(model)].filter((path) => !wanted.has(path)),
    ),
    excludeModules: null,
    layersToTransform: null,
    layersPattern: null,
    rankPattern: Object.fromEntries(
      targets.filter(({ r }) => r !== complete.r).map(({ module, r }) => [exactly(module.name), r]),
    ),
    alphaPattern: Object.fromEntries(
      targets.filter(({ alpha }) => alpha !== complete.loraAlpha).map(({ module, alpha }) => [exactly(module.name), alpha]),
    ),
  }
  return { config, targets }
}

/** What a configuration of former names matches by today's, or undefined if nothing. */
function matched(modules: ReadonlyMap<string, TargetModule>, config: LoraConfig): LoraTarget[] | undefined {
  try {
    return matchTargets(modules, config, { anyRank: true })
  } catch {
    return undefined
  }
}

/** Modules saved whole and embeddings with trained rows, in the names of the model. */
function savedToday(
  model: Model,
  { modulesToSave, trainableTokenIndices }: LoraConfig,
  then: (path: string) => string,
): Pick<LoraConfig, 'modulesToSave' | 'trainableTokenIndices'> {
  const paths = [...pathsOf(model)]
  const saved = modulesToSave?.flatMap((name) => {
    const meant = paths.filter((path) => isSavedPath(then(path), [name]))
    const same = paths.filter((path) => isSavedPath(path, [name]))
    const unchanged = meant.length === 0 || (meant.length === same.length && meant.every((path, i) => path === same[i]))
    return unchanged ? [name] : meant
  })
  const rows = trainableTokenIndices
  const named =
    rows === null || Array.isArray(rows)
      ? rows
      : Object.fromEntries(
          Object.entries(rows as Readonly<Record<string, readonly number[]>>).map(([name, tokens]) => [
            paths.find((path) => then(path) === name || then(path).endsWith(`.${name}`)) ?? name,
            tokens,
          ]),
        )
  return { modulesToSave: saved === undefined ? null : [...new Set(saved)], trainableTokenIndices: named }
}
