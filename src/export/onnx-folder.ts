/** @file A model folder as transformers.js reads it: `onnx/model.onnx` with its data, config.json, tokenizer. */
import { InvalidOptionError } from '../errors.js'
import { checkModelFolderName, prepareOutput, writeSmallFiles, type Beside } from '../formats/merge-folder.js'
import { TOKENIZER_FILE } from '../formats/tokenizer-files.js'
import type { Graph } from '../graph/graph.js'
import type { Files } from '../io/files.js'
import { whileLocked } from '../io/folder-lock.js'
import type { Json } from '../models/config-reader.js'
import { parseJson } from '../util/json.js'
import { writeOnnxFile, type OnnxFile, type OnnxFileOptions } from './onnx-file.js'

const CONFIG_FILE = 'tokenizer_config.json'

/** Element type of the weights in the file; the graph computes in float32 either way. */
export type ExportDType = 'fp32' | 'fp16'

/** Endings that transformers.js finds a model by, for each of its names of element types. */
const suffixes: Readonly<Record<ExportDType, string>> = { fp32: '', fp16: '_fp16' }

export interface OnnxFolder extends OnnxFileOptions {
  /** Folder of the model that is exported; its tokenizer and other small files come along. Never written to. */
  readonly source: string
  readonly out: string
  /** Whether a finished model that an earlier export or merge wrote there may be replaced. */
  readonly overwrite: boolean
  readonly graph: Graph
  readonly config: Readonly<Record<string, Json>>
  readonly dtype: ExportDType
  /** Positions that the graph serves, where they are fewer than config.json says. */
  readonly maxPositions?: number
  /** Texts begin with the tokenizer's own first token. */
  readonly addsBos?: boolean
  /** Further files of the folder; they take the place of the source's. */
  readonly more?: Beside
}

/**
 * Writes the folder. config.json comes last, so that an interrupted export is no model.
 * @throws InvalidOptionError if `out` is the source, or a folder that holds a finished model and `overwrite` is not said, or anything else
 */
export async function writeOnnxFolder(files: Files, folder: OnnxFolder): Promise<OnnxFile> {
  const { source, out } = folder
  if ((await files.realPath(source)) === (await files.realPath(out)))
    throw new InvalidOptionError(
      `"${out}" is the source model's own folder; an export never changes the source, choose another folder`,
    )
  await checkModelFolderName(files, out)
  return whileLocked(files, out, () => writeLocked(files, folder))
}

async function writeLocked(files: Files, folder: OnnxFolder): Promise<OnnxFile> {
  const { source, out, overwrite, graph, dtype } = folder
  const more = new Map([...(folder.more ?? []), ...(await toldTokenizerConfig(files, folder))])
  await prepareOutput(files, source, { out, overwrite }, ['onnx'], more)
  const name = `model${suffixes[dtype]}.onnx`
  const written = await writeOnnxFile(files, graph, `${out}/onnx/${name}`, folder)
  await writeSmallFiles(files, source, out, more)
  await files.write(`${out}/config.json`, `${JSON.stringify(exportedConfig(folder, name, written), null, 2)}\n`)
  return { ...written, files: written.files.map((file) => `onnx/${file}`) }
}

/**
 * tokenizer_config.json where it cannot be the tokenizer's own: transformers.js fails without one, and its pipelines leave out the
 * first token that tokenizer.json adds unless `add_bos_token` is there.
 */
async function toldTokenizerConfig(files: Files, { source, addsBos, more }: OnnxFolder): Promise<Beside> {
  const isBrought = more?.has(TOKENIZER_FILE) === true
  if (!isBrought && !(await files.exists(`${source}/${TOKENIZER_FILE}`))) return new Map()
  const own = isBrought ? more.get(CONFIG_FILE) : await readIfThere(files, `${source}/${CONFIG_FILE}`)
  const config =
    own === undefined
      ? { tokenizer_class: 'PreTrainedTokenizerFast' }
      : (parseJson(new TextDecoder().decode(own)) as Record<string, unknown>)
  if (own !== undefined && (addsBos !== true || 'add_bos_token' in config)) return new Map()
  const told = { ...config, ...(addsBos === true && { add_bos_token: true }) }
  return new Map([[CONFIG_FILE, new TextEncoder().encode(`${JSON.stringify(told, null, 2)}\n`)]])
}

const readIfThere = async (files: Files, path: string): Promise<Uint8Array | undefined> =>
  (await files.exists(path)) ? files.read(path) : undefined

/**
 * config.json with what transformers.js must know. Models that also see are exported as their text part, under the type
 * that such models have alone.
 */
function exportedConfig(
  { config, dtype, maxPositions }: OnnxFolder,
  name: string,
  { dataFiles }: OnnxFile,
): Record<string, Json> {
  const text = config['model_type'] === 'gemma3' ? (config['text_config'] as Record<string, Json>) : undefined
  const own = text === undefined ? config : { ...text, model_type: 'gemma3_text', architectures: ['Gemma3ForCausalLM'] }
  return {
    ...own,
    ...(maxPositions !== undefined && { max_position_embeddings: maxPositions }),
    'transformers.js_config': {
      // Where none is told, pages ask for a file with weights in 8 bits.
      dtype,
      ...(dataFiles > 0 && { use_external_data_format: { [name]: dataFiles } }),
    },
  }
}
