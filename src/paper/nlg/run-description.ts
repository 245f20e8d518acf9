/** @file What a training leaves beside its checkpoints for the scores of its texts: `nlg-run.json`. */
import { InvalidDataError } from '../../errors.js'
import type { Files } from '../../io/files.js'
import { parseJsonObject } from '../../util/json.js'
import type { NlgTrainingPreset, ResolvedNlgTraining } from './training-options.js'
import { parseRecord, RECORD_FILE, removeRecord, writeRecord, type nlgTasks, type PaperRecord } from '../record.js'

/** A training, as the table of the paper's numbers names it. */
export type NlgRunDescription = Pick<PaperRecord, 'preset' | 'model' | 'seed' | 'trainedParameters'>

const RUN_FILE = 'nlg-run.json'

/** What is told of a training with these options. @param preset whose settings it has, but for what was given */
export function descriptionOf(
  preset: NlgTrainingPreset | undefined,
  { init_checkpoint, base_checkpoint, random_seed, lora_dim }: ResolvedNlgTraining,
  trainedParameters: number,
): NlgRunDescription {
  return {
    // Of all weights a run is no row of LoRA's.
    ...(preset !== undefined && { preset: lora_dim === 0 ? preset.replace(/lora$/, 'full') : preset }),
    model: base_checkpoint ?? init_checkpoint ?? 'random weights',
    seed: random_seed,
    trainedParameters,
  }
}

/** Tells what is trained in a folder. Scores of texts of an earlier run there go: those of another split would stand beside them. */
export async function describeRun(files: Files, folder: string, run: NlgRunDescription): Promise<void> {
  await removeRecord(files, folder)
  await files.write(`${folder}/${RUN_FILE}`, `${JSON.stringify(run, null, 2)}\n`)
}

/** @throws InvalidDataError for a folder that no training of ours has written */
export async function readRun(files: Files, folder: string): Promise<NlgRunDescription> {
  const file = `${folder}/${RUN_FILE}`
  if (!(await files.exists(file)))
    throw new InvalidDataError(`${folder} holds no ${RUN_FILE}, which lowrank paper nlg train writes; name its --work_dir`)
  return parseJsonObject(await files.readText(file), file, InvalidDataError, 'train again') as unknown as NlgRunDescription
}

/** Adds the scores of a split to the record of a run; those of its other splits stay. */
export async function recordScores(
  files: Files,
  folder: string,
  run: NlgRunDescription,
  task: (typeof nlgTasks)[number],
  split: string,
  scores: Readonly<Record<string, number>>,
): Promise<void> {
  const file = `${folder}/${RECORD_FILE}`
  const before = (await files.exists(file)) ? parseRecord(await files.readText(file), file) : undefined
  if (before !== undefined && before.task !== task)
    throw new InvalidDataError(`${file} is of ${before.task}, and these scores are of ${task}; score each run's own texts`)
  await writeRecord(files, folder, { task, ...run, metrics: { ...before?.metrics, [split]: scores } })
}
