/** @file A model folder as transformers.js reads it: `onnx/model.onnx` with its data, config.json, tokenizer. */
import { InvalidOptionError } from '../errors.js'
import { checkModelFolderName, copySmallFiles, prepareOutput } from '../formats/merge-folder.js'
import type { Graph } from '../graph/graph.js'
import type { Files } from '../io/files.js'
import { whileLocked } from '../io/folder-lock.js'
import type { Json } from '../models/config-reader.js'
import { parseJson } from '../util/json.js'
import { writeOnnxFile, type OnnxFile, type OnnxFileOptions } from './onnx-file.js'

/** Element type of the weights in the file; the graph computes in float32 either way. */
export type ExportDType = 'fp32' | 'fp16'

/** Endings that transformers.js finds a model by, for each of its names of element types. */
const suffixes: Readonly<Record<ExportDType, string>> = { fp32: '', fp16: '_fp16' }

export interface OnnxFolder extends OnnxFileOptions {
  /** Folder of the model that is exported; its tokenizer and other small files come along. Never written to. */
  readonly source: string
  readonly out: string
  readonly graph: Graph
  readonly config: Readonly<Record<string, Json>>
  readonly dtype: ExportDType
  /** Positions that the graph serves, where they are fewer than config.json says. */
  readonly maxPositions?: number
  /** Texts begin with the tokenizer's own first token. */
  readonly addsBos?: boolean
  /** Further files, by their paths in the folder; they take the place of the source's. */
  readonly more?: ReadonlyMap<string, Uint8Array>
}

/**
 * Writes the folder. config.json comes last, so that an interrupted export is no model.
 * @throws InvalidOptionError if `out` is the source, or a folder that holds anything but an earlier export or merge
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
  const { source, out, graph, dtype, more = new Map<string, Uint8Array>() } = folder
  const tokenizerConfig = await tellTokenizerConfig(files, folder)
  const top = [...more.keys()].map((path) => path.split('/')[0]!)
  const extra = tokenizerConfig === undefined ? [] : ['tokenizer_config.json']
  await prepareOutput(files, source, out, [...new Set(['onnx', ...top, ...extra])])
  const name = `model${suffixes[dtype]}.onnx`
  const written = await writeOnnxFile(files, graph, `${out}/onnx/${name}`, folder)
  await copySmallFiles(files, source, out)
  for (const [path, bytes] of more) await files.write(`${out}/${path}`, bytes)
  if (tokenizerConfig !== undefined) await files.write(`${out}/tokenizer_config.json`, tokenizerConfig)
  await files.write(`${out}/config.json`, `${JSON.stringify(exportedConfig(folder, name, written), null, 2)}\n`)
  return { ...written, files: written.files.map((file) => `onnx/${file}`) }
}

/**
 * tokenizer_config.json where it cannot be the source's: transformers.js fails without one, and its pipelines leave out the
 * first token that tokenizer.json adds unless `add_bos_token` is there.
 */
async function tellTokenizerConfig(files: Files, { source, addsBos }: OnnxFolder): Promise<string | undefined> {
  const path = `${source}/tokenizer_config.json`
  if (!(await files.exists(`${source}/tokenizer.json`))) return undefined
  const isThere = await files.exists(path)
  const config = isThere ? (parseJson(await files.readText(path)) as object) : { tokenizer_class: 'PreTrainedTokenizerFast' }
  if (isThere && (addsBos !== true || 'add_bos_token' in config)) return undefined
  return `${JSON.stringify({ ...config, ...(addsBos === true && { add_bos_token: true }) }, null, 2)}\n`
}

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
