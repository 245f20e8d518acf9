/** @file The output folder of a run: one run at a time writes there, and never unasked over something that is finished. */
import { HEAD_FILE } from '../core/adapter-head.js'
import { CONFIG_FILE, TENSORS_FILE, TORCH_TENSORS_FILE } from '../formats/peft.js'
import { InvalidOptionError } from '../errors.js'
import type { Files } from '../io/files.js'
import { lockFolder } from '../io/folder-lock.js'
import { checkpointNames, removeCheckpoints, removeLeftovers } from './checkpoint.js'
import { LOG_FILE } from './log.js'
import type { ResolvedTrainOptions } from './options.js'
import type { Trainee } from './trainee.js'

const ADAPTER_FILES: readonly string[] = [CONFIG_FILE, TENSORS_FILE, TORCH_TENSORS_FILE]
/** Weights of a model, whoever wrote it. */
const WEIGHTS = /^(model|pytorch_model|tf_model|flax_model|consolidated)[\w.-]*\.(safetensors|bin|pth|h5|msgpack)$|\.(onnx|gguf)$/

const MODEL_CONFIG = 'config.json'
const REPORT_FILE = 'report.html'

/** What else a run writes, and whether a text is that: names that others use too. */
const RESULTS: Readonly<Record<string, (text: string) => boolean>> = {
  [LOG_FILE]: (text) => text === '' || text.startsWith('{"event":'),
  [REPORT_FILE]: (text) => text.includes('<script type="application/json" id="run">'),
}

const folderOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\'))) || '.'

/** An output folder that is this run's alone until it is released. */
export class Output {
  private constructor(
    private readonly files: Files,
    readonly path: string,
    private readonly unlock: () => Promise<void>,
    /** Whether there is a checkpoint that the run shall continue from. */
    readonly continues: boolean,
  ) {}

  /**
   * Takes the folder of a run, after seeing what it holds.
   * @throws FileError if another run writes there, or nobody may
   * @throws InvalidOptionError if it is the folder of the base model, or holds what must not be lost
   */
  static async take({ model }: Trainee, options: ResolvedTrainOptions): Promise<Output | undefined> {
    const { out, resume, overwrite } = options
    const { files } = model.environment
    if (out === undefined) return undefined
    const [target, source] = [await files.realPath(out), await files.realPath(model.path)]
    if (target === source || (model.path.endsWith('.onnx') && target === (await files.realPath(folderOf(model.path)))))
      throw new InvalidOptionError(
        `"${out}" is the folder of the base model, which is never changed; choose another output folder`,
      )
    const unlock = await lockFolder(files, out)
    try {
      const checkpoints = await checkpointNames(files, out)
      const continues = resume && checkpoints.length > 0
      if (!continues && !overwrite) await refuseFinished(files, out, checkpoints, resume)
      return new Output(files, out, unlock, continues)
    } catch (error) {
      await unlock()
      throw error
    }
  }

  /** Makes the folder ready for the first step: what an earlier run left goes, unless this one continues it. */
  async prepare(): Promise<void> {
    const { files, path } = this
    await removeLeftovers(files, path)
    if (this.continues) return
    await removeCheckpoints(files, path)
    const names = (await files.isDirectory(path)) ? await files.list(path) : []
    // Files that a model has too are an earlier adapter's only where there is no model.
    const besides = names.some((name) => WEIGHTS.test(name)) ? [] : [HEAD_FILE, 'generation_config.json']
    // The configuration first: what has none is no adapter.
    for (const name of [...ADAPTER_FILES, ...(names.includes(CONFIG_FILE) ? besides : []), ...Object.keys(RESULTS)])
      await files.remove(`${path}/${name}`)
  }

  async release(): Promise<void> {
    await this.unlock()
  }
}

async function refuseFinished(files: Files, out: string, checkpoints: readonly string[], resume: boolean): Promise<void> {
  const names = (await files.isDirectory(out)) ? await files.list(out) : []
  const instead = 'or replace it with overwrite (--overwrite)'
  // A fresh run must not mix its checkpoints with those of another: rotation would remove the wrong ones.
  if (checkpoints.length > 0)
    throw new InvalidOptionError(
      `"${out}" holds checkpoints of an earlier run (${checkpoints.join(', ')}). ` +
        `Continue it with resume (--resume), remove them, choose another output folder, ${instead}.`,
    )
  const adapter = names.filter((name) => ADAPTER_FILES.includes(name))
  if (adapter.length > 0)
    throw new InvalidOptionError(
      `"${out}" holds a finished adapter (${adapter.join(', ')})${resume ? ' and no checkpoint to continue from' : ''}. Choose another output folder, ${instead}.`,
    )
  for (const [name, isOurs] of Object.entries(RESULTS))
    if (names.includes(name) && !isOurs(await files.readText(`${out}/${name}`)))
      throw new InvalidOptionError(
        `"${out}/${name}" was not written by a run of lowrank. Move it, choose another output folder, ${instead}.`,
      )
  const weights = names.filter((name) => WEIGHTS.test(name))
  // Of an export the weights lie in a folder below.
  if (names.includes(MODEL_CONFIG) && (await files.readText(`${out}/${MODEL_CONFIG}`)).includes('"model_type"'))
    weights.unshift(MODEL_CONFIG)
  if (weights.length > 0)
    throw new InvalidOptionError(
      `"${out}" is the folder of a model (${weights.slice(0, 3).join(', ')}). Choose another output folder, or write into it all the same with overwrite (--overwrite).`,
    )
}
