/** @file What trackers are told of a run's events: numbers by the tags that transformers gives them, texts, the end. */
import { InvalidOptionError } from '../errors.js'
import { baseName } from '../io/places.js'
import { openTracker, trackerNames, type RunSettings, type Scalars, type TrackedEnd, type Tracker } from '../tracking/index.js'
import type { EvalEvent, Sample, StepEvent, TrainEvent } from './events.js'
import { optionsWhere, type ResolvedTrainOptions } from './option-table.js'
import type { Trainee } from './trainee.js'

/** `tokensPerSecond` as trackers write it. */
const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const tagged = (group: string, values: Readonly<Record<string, unknown>>): Scalars =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (typeof value === 'number' ? [[`${group}/${snake(name)}`, value]] : [])),
  )

const ofStep = ({ event: _, step: __, ...values }: StepEvent): Scalars => tagged('train', values)
const ofEvaluation = ({ event: _, step: __, best: ___, ...values }: EvalEvent): Scalars => tagged('eval', values)

/** Texts as they are: a fence is longer than any run of backticks in them. */
function markdown({ prompt, text }: Sample): string {
  const longest = Math.max(2, ...[...`${prompt}\n${text}`.matchAll(/`+/g)].map(([run]) => run.length))
  const fence = '`'.repeat(longest + 1)
  return [prompt, text].map((each) => `${fence}\n${each}\n${fence}`).join('\n\n')
}

/** The settings of a run, as the model card lists them, with the model and what is trained. */
function settingsOf({ model, config, parameters }: Trainee, options: ResolvedTrainOptions): RunSettings {
  const given = optionsWhere(({ card }) => card).map((name) => [snake(name), options[name]] as const)
  const adapter = config && { r: config.r, lora_alpha: config.loraAlpha, target_modules: config.targetModules }
  const all = [
    ['model', model.id],
    ['trainable_parameters', parameters.count],
    ...Object.entries(adapter ?? {}),
    ...given,
  ] as const
  return Object.fromEntries(
    all.flatMap(([name, value]) => {
      if (value === undefined || value === null || typeof value === 'function') return []
      const plain = typeof value === 'object' ? JSON.stringify(value) : value
      return [[name, plain as string | number | boolean] as const]
    }),
  )
}

/** The trackers of a run. They are told of every event, wait for none, and warn rather than fail. */
export class Tracking {
  private begun = false
  private ended = false

  private constructor(
    private readonly trackers: readonly Tracker[],
    private readonly name: string,
    private readonly settings: RunSettings,
  ) {}

  /** @throws InvalidOptionError if a tracker lacks something that it cannot do without */
  static open(trainee: Trainee, options: ResolvedTrainOptions): Tracking {
    const { reportTo = [], out, loggingDir, runName } = options
    const { files, variables = {} } = trainee.model.environment
    const folder = loggingDir ?? (out === undefined ? undefined : `${out}/${RUNS_FOLDER}`)
    const names = typeof reportTo === 'string' ? [reportTo] : [...new Set(reportTo)]
    const name = runName ?? baseName(out ?? '')
    if (loggingDir !== undefined && !names.includes('tensorboard'))
      throw new InvalidOptionError(
        'loggingDir is for the event files of TensorBoard: give reportTo "tensorboard", or leave it out',
      )
    if (runName !== undefined && names.length === 0)
      throw new InvalidOptionError(
        `runName is what trackers call the run: give reportTo (${trackerNames.join(', ')}), or leave it out`,
      )
    const trackers = names.map((each) => openTracker(each, { files, folder, variables }))
    return new Tracking(trackers, name === '' ? 'lowrank' : name, trackers.length === 0 ? {} : settingsOf(trainee, options))
  }

  tell(event: TrainEvent): void {
    const time = Date.now()
    const each = (tell: (tracker: Tracker) => void): void => this.trackers.forEach(tell)
    if (this.ended) return
    if (event.event === 'start') {
      this.begun = true
      each((tracker) => tracker.begin({ name: this.name, settings: this.settings, resumedAt: event.resumedAt }, time))
    } else if (event.event === 'step') each((tracker) => tracker.scalars(event.step, ofStep(event), time))
    else if (event.event === 'eval') each((tracker) => tracker.scalars(event.step, ofEvaluation(event), time))
    else if (event.event === 'samples')
      event.samples.forEach((sample, i) =>
        each((tracker) => tracker.text(event.step, `samples/${i + 1}`, markdown(sample), time)),
      )
  }

  /** Waits a few seconds at most until all was taken. The first word counts. */
  async end(how: TrackedEnd): Promise<void> {
    if (!this.begun || this.ended) return
    this.ended = true
    await Promise.all(this.trackers.map((tracker) => tracker.end(how, Date.now())))
  }

  /** What there is to say since the last call. */
  warnings(): string[] {
    return this.trackers.flatMap((tracker) => tracker.warnings())
  }
}

/** Folder of event files in an output folder. */
export const RUNS_FOLDER = 'runs'
