/** @file A model of which rows are read but nothing is run: its config and tokenizer, without weights. */
import type { Tokenizer } from '../data/tokenizer.js'
import type { Environment } from '../environment.js'
import { InvalidModelError } from '../errors.js'
import { hasTokenizer } from '../formats/tokenizer-files.js'
import { checkModelOptions, openModel, type ModelOptions } from '../load-model.js'
import { headOptionKeys } from '../models/new-head.js'
import { FolderModel } from '../model/folder-model.js'
import { openTokenizer } from '../model/find-tokenizer.js'
import type { Model } from '../model/model.js'
import { DisposableResource } from '../util/disposable.js'
import { pickKeys } from '../util/option-keys.js'

/**
 * Opens what a path leads to as far as rows need it: an .onnx file, a model folder, with weights or without, or a folder with
 * a tokenizer alone, for which rows are those of a language model of any length.
 */
export async function openOutline(path: string, environment: Environment, options: ModelOptions, id = path): Promise<Model> {
  const { seed, problemType, ...asked } = options
  const isAsked = Object.values(asked).some((value) => value !== undefined)
  // Of an .onnx file the problem type is the objective's alone, of a folder's own head the objective's as well.
  if (path.endsWith('.onnx')) return openModel(path, environment, asked, id)
  const { files } = environment
  const isModel = await files.exists(`${path}/config.json`)
  if (isModel || !(await hasTokenizer(files, path)))
    return openFolder(
      path,
      environment,
      id,
      isAsked ? { ...asked, ...(seed !== undefined && { seed }), ...(problemType !== undefined && { problemType }) } : {},
    )
  if (isAsked)
    throw new InvalidModelError(
      `"${path}" holds a tokenizer but no config.json, so rows are those of a language model; leave task and labels out, or name a model`,
    )
  return new TokenizerAlone(environment, path, id, await openTokenizer(files, path))
}

async function openFolder(path: string, environment: Environment, id: string, options: ModelOptions): Promise<FolderModel> {
  checkModelOptions(path, options)
  return FolderModel.open(path, environment, id, pickKeys(options, headOptionKeys), { outline: true })
}

/** A language model of which nothing is known but its tokenizer. */
class TokenizerAlone extends DisposableResource implements Model {
  readonly task = { name: 'causal-lm', numLabels: 0, labels: [] } as const
  readonly inputs = []
  readonly weights = new Map()
  readonly modules = new Map()
  readonly defaultTargetModules = []
  readonly parameterCount = 0
  readonly vocabularySize = Infinity
  readonly maxPositions = 0
  readonly padTokenId = undefined

  constructor(
    readonly environment: Environment,
    readonly path: string,
    readonly id: string,
    private readonly known: Tokenizer,
  ) {
    super()
  }

  tokenizer(): Promise<Tokenizer> {
    return Promise.resolve(this.known)
  }

  build(): never {
    throw this.noModel()
  }

  saveWeights(): never {
    throw this.noModel()
  }

  protected release(): Promise<void> {
    return Promise.resolve()
  }

  private noModel(): InvalidModelError {
    return new InvalidModelError(`"${this.path}" holds a tokenizer but no model (config.json)`)
  }
}
