/**
 * @file Everything that opens something by its name: written once, over a {@link Host}, which is all that the entries for
 * Node and for pages differ in.
 */
import { loadAdapter as loadAdapterOf, loadAdapterOptionKeys, type Adapter, type LoadAdapterOptions } from './adapter/adapter.js'
import { convert as convertWith, convertOptionKeys, type Conversion, type ConvertOptions } from './adapter/convert.js'
import type { Environment } from './environment.js'
import { openTokenizer } from './model/find-tokenizer.js'
import { inspect as inspectWith } from './inspect/inspect.js'
import type { DataInspection } from './inspect-data/data-inspection.js'
import { inspectRowData } from './inspect-data/inspect-data.js'
import { openOutline } from './inspect-data/open-outline.js'
import { dataInspectionTable, type DataInspectionOptions } from './inspect-data/options.js'
import { inspectOptionKeys, type Inspection, type InspectOptions } from './inspect/inspection.js'
import type { Model } from './model/model.js'
import { modelOptionKeys, openModel, type ModelOptions } from './load-model.js'
import { collectLabels as collectLabelsOf, type CollectedLabels } from './data/collect-labels.js'
import { rowsArgument, type RowData } from './data/row-data.js'
import { rowReadingKeys, type RowReading } from './data/row-reading.js'
import type { Tokenizer } from './data/tokenizer.js'
import { InvalidOptionError } from './errors.js'
import { taskOptions, type TaskOption } from './models/task.js'
import { choice } from './util/option-kinds.js'
import { checkKeys, pickKeys, type OptionKeys } from './util/option-keys.js'
import { snapshot } from './util/snapshot.js'
import { checkArgument, pathArgument, type ArgumentKind } from './util/arguments.js'
import { modelArgument } from './model/model-argument.js'

/** What a name shall lead to: it decides which files of a repository are fetched. */
export type Named = 'model' | 'adapter' | 'tokenizer' | 'outline' | 'any'

/** Where a library runs: what makes its environments, and what its users' names mean. */
export interface Host<Where extends object, Fetch extends object> {
  /** An environment of these options, which fetches the data sets that rows are asked for from as it is told. */
  readonly environment: (options: Where, fetching: Fetch) => Environment
  /** Names of the options of an environment. */
  readonly whereKeys: OptionKeys<Where>
  /**
   * The path, among the environment's files, of what a user called by name, and what adapters shall call it.
   * @throws FileError or HubError if there is nothing of that name
   */
  readonly find: (
    name: string,
    kind: Named,
    options: Fetch,
    environment: Environment,
  ) => Promise<{ readonly path: string; readonly id: string }>
  /** Names of the options of {@link find}. */
  readonly fetchKeys: OptionKeys<Fetch>
}

/** What labels are read of rows, and from where. */
export interface LabelOptions extends RowReading {
  /** `token-classification` reads a list of labels a row, every other task one label. */
  readonly task?: TaskOption
}

/** Options for an environment, or one that is there already. */
export type Within<Where extends object> =
  | Where
  | {
      /** Files, runtime and clock; no option of a new environment may stand beside it. */
      readonly environment?: Environment
    }

/** The functions of one entry that open things by name. */
export interface Library<Where extends object, Fetch extends object> {
  /** A Hugging Face folder or an .onnx file as a model. */
  loadModel(path: string, options?: Within<Where> & Fetch & ModelOptions): Promise<Model>
  /** The tokenizer of a folder, or beside an .onnx file. */
  loadTokenizer(path: string, options?: Within<Where> & Fetch): Promise<Tokenizer>
  /** A PEFT folder, checked against a model. */
  loadAdapter(model: Model, path: string, options?: Fetch & LoadAdapterOptions): Promise<Adapter>
  /** The labels that files of rows have. */
  collectLabels(data: RowData, options?: Within<Where> & LabelOptions): Promise<CollectedLabels>
  /** What a path holds. */
  inspect(path: string, options?: Within<Where> & Fetch & InspectOptions): Promise<Inspection>
  /** What a run would learn from rows. */
  inspectData(
    model: Model | string,
    data: RowData,
    options?: Within<Where> & Fetch & ModelOptions & DataInspectionOptions,
  ): Promise<DataInspection>
  /** An adapter in another file format. */
  convert(from: string, to: string, options?: Within<Where> & ConvertOptions): Promise<Conversion>
}

const labelKeys = { task: choice(taskOptions), ...rowReadingKeys } as const satisfies OptionKeys<LabelOptions>

/** What rows are inspected for: a model that is open, or where one lies. */
const outlineArgument: ArgumentKind<Model | string> = {
  must: 'be a model, or the path of one',
  fits: (value): value is Model | string => pathArgument.fits(value) || modelArgument.fits(value),
}

/** Of options for several things those for one. */
const only = <Options extends object>(options: object, keys: Readonly<Record<keyof OptionKeys<Options>, unknown>>): Options =>
  pickKeys(options, keys) as Options

/** The functions of an entry, over what its platform is like. */
export function libraryOf<Where extends object, Fetch extends object>(host: Host<Where, Fetch>): Library<Where, Fetch> {
  const whereKeys: Readonly<Record<string, true>> = { ...host.whereKeys, environment: true }

  /** Options as they are at the call, of known names alone, and the environment that they ask for. */
  const open = <Options extends object>(
    where: string,
    given: Options | undefined,
    ...keys: Readonly<Record<string, unknown>>[]
  ) => {
    checkKeys(given, Object.assign({}, whereKeys, ...keys) as Readonly<Record<string, unknown>>, where)
    const options = snapshot<Partial<Options>>(given ?? {})
    const { environment, ...rest } = pickKeys(options, whereKeys) as { readonly environment?: Environment }
    if (environment === undefined)
      return { options, environment: host.environment(rest as Where, only<Fetch>(options, host.fetchKeys)) }
    const [beside] = Object.keys(rest)
    if (beside === undefined) return { options, environment }
    throw new InvalidOptionError(
      `${where}: "${beside}" belongs to the environment, which is given; give it to the function that makes the environment`,
    )
  }
  const find = (name: string, kind: Named, options: object, environment: Environment) =>
    host.find(name, kind, only<Fetch>(options, host.fetchKeys), environment)

  return {
    async loadModel(path, given) {
      checkArgument(path, pathArgument, 'loadModel')
      const { options, environment } = open('loadModel', given, host.fetchKeys, modelOptionKeys)
      const found = await find(path, 'model', options, environment)
      return openModel(found.path, environment, only<ModelOptions>(options, modelOptionKeys), found.id)
    },
    async loadTokenizer(path, given) {
      checkArgument(path, pathArgument, 'loadTokenizer')
      const { options, environment } = open('loadTokenizer', given, host.fetchKeys)
      return openTokenizer(environment.files, (await find(path, 'tokenizer', options, environment)).path)
    },
    async loadAdapter(model, path, given) {
      checkArgument(model, modelArgument, 'loadAdapter')
      checkArgument(path, pathArgument, 'loadAdapter', 'the second argument')
      checkKeys(given, { ...host.fetchKeys, ...loadAdapterOptionKeys }, 'loadAdapter')
      const options = snapshot(given ?? {})
      const found = await find(path, 'adapter', options, model.environment)
      return loadAdapterOf(model, found.path, only<LoadAdapterOptions>(options, loadAdapterOptionKeys))
    },
    async collectLabels(data, given) {
      checkArgument(data, rowsArgument, 'collectLabels')
      const { options, environment } = open('collectLabels', given, labelKeys)
      return collectLabelsOf(environment, snapshot(data), options.task ?? 'sequence-classification', options)
    },
    async inspect(path, given) {
      checkArgument(path, pathArgument, 'inspect')
      const { options, environment } = open('inspect', given, host.fetchKeys, inspectOptionKeys)
      return inspectWith(
        (await find(path, 'any', options, environment)).path,
        environment,
        only<InspectOptions>(options, inspectOptionKeys),
      )
    },
    async inspectData(model, data, given) {
      checkArgument(model, outlineArgument, 'inspectData')
      checkArgument(data, rowsArgument, 'inspectData', 'the second argument')
      const rows = snapshot(data)
      // A model that is open knows where it is and what it is for.
      if (typeof model !== 'string') {
        checkKeys(given, dataInspectionTable, 'inspectData of an open model')
        return inspectRowData(model, rows, given ?? {})
      }
      const { options, environment } = open('inspectData', given, host.fetchKeys, modelOptionKeys, dataInspectionTable)
      const found = await find(model, 'outline', options, environment)
      const outline = await openOutline(found.path, environment, only<ModelOptions>(options, modelOptionKeys), found.id)
      return inspectRowData(outline, rows, only<DataInspectionOptions>(options, dataInspectionTable))
    },
    async convert(from, to, given) {
      checkArgument(from, pathArgument, 'convert')
      checkArgument(to, pathArgument, 'convert', 'the second argument')
      const { options, environment } = open('convert', given, convertOptionKeys)
      return convertWith(from, to, only<ConvertOptions>(options, convertOptionKeys), environment)
    },
  }
}
