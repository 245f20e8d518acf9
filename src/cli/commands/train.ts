/** @file `lowrank train`. */
import { leaderFirst, type Communicator } from '../../distributed/communicator.js'
import { InvalidOptionError, messageOf } from '../../errors.js'
import type { Adapter, DoneEvent, ErrorEvent, LoraConfig, LoraOptions, Model, TrainOptions } from '../../index.js'
import { loraFieldTable } from '../../adapters/lora-fields.js'
import { splitOptions, trainOptionTable } from '../../train/option-table.js'
import { REPORT_FILE } from '../../train/report-file.js'
import { commandLine } from '../command-line.js'
import { inJob, threadsOfProcess } from '../distributed.js'
import { exitCodeOf, LAST_STEP } from '../interruption.js'
import { type commonFlags, defineCommand, defined, type CommandContext, type Values } from '../flags.js'
import type { Flags } from '../flag.js'
import { optionsFrom } from '../option-flags.js'
import { withPresetFlags, withPresetLoading } from '../preset-flags.js'
import { isAuto, library, openAdapter, openModel, readingOf, withLabelsOf } from '../sources.js'
import { showPlan } from '../plan-view.js'
import { startText } from '../start-text.js'
import { TrainingView } from '../training-view.js'
import { UsageError } from '../usage-error.js'
import { initialisations, trainFlags } from './train-flags.js'

type TrainValues = Values<typeof trainFlags & typeof commonFlags>

const loraOptions = (values: TrainValues): LoraOptions => ({
  ...optionsFrom(loraFieldTable, values),
  freezeA: values['freeze-a'],
  initLoraWeights: initialisations[values.init]!,
  seed: values.seed,
})

/** An adapter that is continued has its own shape: a flag that says otherwise is a mistake, not an order. */
function checkAgrees(adapter: Adapter, values: TrainValues, given: ReadonlySet<string>): void {
  const wanted = loraOptions(values)
  const normal = (value: unknown): string => JSON.stringify(Array.isArray(value) ? [...(value as unknown[])].sort() : value)
  const flags: Flags = trainFlags
  for (const option of Object.keys(loraFieldTable) as (keyof LoraConfig)[]) {
    const flag = Object.keys(flags).find((name) => flags[name]!.option === option)
    // How it began does not matter any more.
    if (flag === undefined || !given.has(flag) || option === 'initLoraWeights') continue
    const has = adapter.config[option]
    if (normal(has) !== normal(wanted[option]))
      throw new InvalidOptionError(
        `--${flag} ${JSON.stringify(wanted[option])} contradicts --adapter, whose ${flag} is ${JSON.stringify(has)}; leave --${flag} out`,
      )
  }
}

async function openTrained(model: Model, values: TrainValues, { output, given }: CommandContext): Promise<Adapter> {
  if (values.adapter === undefined) {
    const { addLora, initializeEva, startFrom } = await library()
    const fresh = await addLora(await withLabelsOf(model, values), loraOptions(values))
    if (values['init-adapter'] !== undefined) {
      if (values.init !== 'default')
        throw new UsageError('--init is for adapters that begin anew; leave it or --init-adapter out.')
      output.note(startText(values['init-adapter'], await startFrom(fresh, values['init-adapter'])))
    }
    if (values.init !== 'eva') return fresh
    const { data, seed, 'batch-size': batchSize, 'max-length': maxLength } = values
    const rows = { data, ...readingOf(values), ...optionsFrom(splitOptions, values) }
    return initializeEva(fresh, { ...rows, seed, batchSize, ...defined({ maxLength }) })
  }
  // A folder does not tell how its adapter was trained, and what is loaded is trained whole.
  if (isAuto(values))
    throw new UsageError('--labels auto is for new adapters; leave it out, the one that goes on knows its labels.')
  if (values['init-adapter'] !== undefined)
    throw new UsageError('--init-adapter is for new adapters, and --adapter goes on with one; leave one of them out.')
  if (values['freeze-a']) throw new UsageError('--freeze-a is for new adapters; leave it or --adapter out.')
  const adapter = await openAdapter(model, values.adapter, output)
  checkAgrees(adapter, values, given)
  return adapter
}

export const trainCommand = defineCommand({
  name: 'train',
  summary: 'Train a LoRA adapter on rows of text, labels or images.',
  description:
    'Writes a PEFT adapter folder that Python loads, with log.jsonl, report.html and a model card (README.md) beside it. ' +
    'The base model is never changed. The same seed gives the same run on the same device and thread count. ' +
    'All rows are checked before the first step. Ctrl-C, a closed terminal or pipe and every error end the run with a checkpoint; the same command with --resume continues bit for bit. ' +
    '--out is refused while another run writes there and, without --overwrite, if it holds a finished adapter or a model. ' +
    'Rows: {"text"}, {"prompt","completion"} (loss on the completion), {"messages"} (chat template, loss on assistant turns), {"instruction","input","output"}, or tokenised {"input_ids","labels"}. ' +
    'With --objective dpo or orpo rows are preferences, {"prompt","chosen","rejected"}, with --objective kto judged completions, {"prompt","completion","label"}. ' +
    'Models with a head take rows of their task: {"text","label"}, {"text","text_pair","label"}, {"tokens","labels"}, {"question","context","start_positions","end_positions"}, {"pixel_values","label"}.',
  configFile: true,
  lastWork: LAST_STEP,
  flags: trainFlags,
  examples: [
    'lowrank train --model SmolLM2-135M --data train.jsonl --out out --epochs 3 --lr 2e-4',
    'lowrank train --config run.yaml --resume',
    'lowrank train --model SmolLM2-135M --data train.jsonl --eval-data valid.jsonl --eval-every 50 --out out --target-modules all-linear --r 16 --alpha 32 --schedule cosine --warmup 0.03',
  ],
  prints:
    '`{"event":"checking","data":"data","rows":…,"of":…}` about once a second while rows are checked, `{"event":"start",…}`, then `{"event":"step","step":1,"epoch":0,"loss":…,"gradNorm":…,"learningRate":…,"tokens":…,"tokensPerSecond":…}` for each step, ' +
    '`{"event":"eval","step":…,"loss":…,"perplexity":…,"tokens":…,"best":…}` (with the metrics of the task where the model is no language model; preferences add `rewardMargin`, `rewardChosen` and `rewardRejected` to steps and evaluations, pairs `rewardAccuracy` and kto `kl`), `{"event":"samples","step":…,"samples":[{"prompt":…,"text":…}]}` with --sample-prompts, `{"event":"checkpoint",…}` and `{"event":"warning",…}` as they come, and ' +
    '`{"event":"done","reason":"finished","steps":…,"loss":…,"trainableParameters":…,"totalParameters":…,"peakMemoryBytes":…,…}`, where `reason` is `finished`, `stoppedEarly` or `aborted`, `saved` the folder of the result and `checkpoint` the newest checkpoint, where there are such. ' +
    'A run that fails ends with `{"event":"error","step":…,"message":…,"checkpoint":…}`. ' +
    '`loss` of a step is that of its batch before the update; `gradNorm` is the global norm before clipping. ' +
    'With `--dry-run` one line: `{"event":"plan","peakMemoryBytes":…,"secondsPerStep":…,"weightsBytes":…,"activationBytes":…,"optimizerBytes":…,"runtimeBytes":…,…}`.',
  run: (values, context) => inJob(values.distributed, context, (communicator, own) => runTraining(values, own, communicator)),
})

/** What a preset depends on beside the flags. */
async function presetFacts(model: Model, { preset, data }: TrainValues) {
  const { presetModel } = await import('../../train/preset-model.js')
  const { filesBeside } = await import('../../data/open-data.js')
  const evaluates = preset !== undefined && (await filesBeside(model.environment, data)).length > 0
  return { model: presetModel(model), evaluates }
}

async function runTraining(asked: TrainValues, context: CommandContext, communicator: Communicator): Promise<number> {
  const { output, interrupted, args } = context
  const { planTraining, report: writeReport, train } = await library()
  const threads = asked.threads ?? threadsOfProcess(communicator, context)
  const { adapter, values } = await leaderFirst(communicator, async () => {
    const loading = withPresetLoading(asked, trainFlags, context)
    const labels = isAuto(loading) ? undefined : loading.labels
    const model = await openModel({ ...loading, threads, labels }, output)
    const values = withPresetFlags(loading, trainFlags, context, await presetFacts(model, asked))
    return { values, adapter: await openTrained(model, values, context) }
  })
  const command = commandLine(args)
  const options: TrainOptions = { ...optionsFrom(trainOptionTable, values), command, signal: interrupted, communicator }
  const view = new TrainingView(output, () => performance.now(), options.metricForBest)
  if (values['dry-run']) {
    if (communicator.rank !== 0) return 0
    const { resume: _, overwrite: __, ...planned } = options
    const plan = await planTraining(adapter, planned, undefined, (event) => view.checking(event)).finally(() => view.close())
    showPlan(plan, output)
    return 0
  }
  const events = train(adapter, options)
  // From the log, which also knows what happened before a resume.
  const report = async (): Promise<void> => {
    if (communicator.rank !== 0) return
    const { out } = values
    await writeReport(out, { out: `${out}/${REPORT_FILE}`, title: `lowrank train: ${out}` })
  }
  let planned = 0
  let ended: DoneEvent | undefined
  try {
    for await (const event of events) {
      if (event.event === 'start') {
        planned = event.steps
        if (values.resume && event.resumedAt === 0)
          output.note(output.color.yellow(`warning: ${values.out} holds no checkpoint to resume; starting from the beginning`))
      }
      if (event.event === 'done') ended = event
      if (output.json) output.printJson(event)
      else view.show(event)
      // Curves that cannot be written now are no reason to stop.
      if (event.event === 'checkpoint')
        await report().catch((error: unknown) => output.note(output.color.yellow(`warning: no report: ${messageOf(error)}`)))
      if (event.event === 'error') output.note(whatIsSaved(event, planned))
    }
  } catch (error) {
    // The curves up to a divergence are what one wants to see; but a second failure must not hide the first.
    if (planned > 0) await report().catch(() => undefined)
    throw error
  } finally {
    view.close()
  }
  if (ended?.reason === 'aborted') output.note(whatIsSaved(ended, planned))
  await report()
  return ended?.reason === 'aborted' ? exitCodeOf(interrupted) : 0
}

const AGAIN = 'Give the same command with --resume to continue.'

/** What a run that did not come to its end leaves. */
function whatIsSaved(event: DoneEvent | ErrorEvent, planned: number): string {
  const step = event.event === 'done' ? event.steps : event.step
  const what = event.event === 'done' ? 'interrupted' : 'ended by an error'
  if (step === 0) return `${what} before the first step was done: nothing was learned, nothing is saved.`
  const where = `${what} after step ${step} of ${planned}`
  const { checkpoint } = event
  return checkpoint === undefined
    ? `${where}; nothing could be saved.`
    : `${where}; what was learned is in ${checkpoint}. ${AGAIN}`
}
