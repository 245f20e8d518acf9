/** @file The demo: a small base model that writes about restaurants and weather learns to announce trains. */
import { rm } from 'node:fs/promises'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InvalidOptionError } from '../../errors.js'
import { addLora, loadModel, merge, nodeEnvironment, report, train, type Adapter, type Model } from '../../index.js'
import type { Device } from '../../runtime/runtime.js'
import type { Output } from '../flags.js'
import { digits, percent, table } from '../format.js'
import { TrainingView } from '../training-view.js'
import { largestDifference, logitsOf, score, type Score } from './measure.js'
import type { DemoRow } from './rows.js'
import { DEMO_SEED, writeDemoRows } from './write-rows.js'

const SAMPLES = 3
// prettier-ignore
const settings = {
  steps: 375, batchSize: 16, learningRate: 5e-3, schedule: 'cosine', warmup: 20,
  groupByLength: true, maxLength: 128,
} as const

/** What must come true. The merged weights are rounded to the base's float16, which moves a logit by about a hundredth. */
const required = { facts: 0.75, factsGained: 0.3, mergedLogits: 0.25, mergedLoss: 0.01, sameTexts: 0.95 }

/** The base model, which comes with the package. */
const base = relative('.', fileURLToPath(new URL('../../../demo/base', import.meta.url)))

/** Lies in a folder that a demo made, so that the next one may empty it. */
const MARK = '.lowrank-demo'

export interface DemoOptions {
  /** Folder for rows, adapter and merged model; a former demo there is replaced. */
  readonly out: string
  readonly device: Device
  readonly threads: number | undefined
  /** Another one gives other rows, another adapter and another order. */
  readonly seed: number
}

/** What `--json` prints at the end. */
export interface DemoResult {
  readonly before: Omit<Score, 'texts'>
  readonly after: Omit<Score, 'texts'>
  readonly mergedModules: number
  /** Largest difference of a logit between base with adapter and merged model. */
  readonly maxAbsLogitDelta: number
  /** Texts that both write alike, of `texts`. */
  readonly sameTexts: number
  readonly texts: number
  readonly seconds: number
  readonly holds: boolean
}

class Demo {
  private readonly color: Output['color']
  private readonly out: string
  private readonly seed: number
  private readonly environment = nodeEnvironment()

  constructor(
    private readonly output: Output,
    private readonly options: DemoOptions,
  ) {
    this.color = output.color
    this.out = options.out
    this.seed = DEMO_SEED + options.seed
  }

  private say(line = ''): void {
    if (!this.output.json) this.output.print(line)
  }

  private heading(text: string): void {
    const { bold, cyan } = this.color
    this.say(`\n${bold(cyan(text))}`)
  }

  private file(name: string): string {
    return `${this.out}/${name}`
  }

  /** @throws InvalidOptionError if the folder holds anything but a former demo */
  private async emptyFolder(): Promise<void> {
    const { files } = this.environment
    const used = (await files.exists(this.out)) && (await files.list(this.out)).length > 0
    if (used && !(await files.exists(this.file(MARK))))
      throw new InvalidOptionError(
        `${this.out} exists and was not made by the demo; name another folder with --out, or remove it`,
      )
    await rm(this.out, { recursive: true, force: true })
    await files.write(this.file(MARK), '')
  }

  private showSamples(rows: readonly DemoRow[], texts: readonly string[]): void {
    const { dim, green, yellow } = this.color
    rows.slice(0, SAMPLES).forEach((row, i) => {
      const text = texts[i] ?? ''
      this.say(`  ${dim(row.prompt.trim())}`)
      this.say(`  ${text === row.completion ? green('✓') : yellow('✗')} ${text.trim()}`)
    })
  }

  private async measure(what: string, subject: Model | Adapter, rows: readonly DemoRow[]): Promise<Score> {
    const result = await score(subject, rows, this.file('eval.jsonl'), (done) =>
      this.output.status(this.color.dim(`${what}: ${done}/${rows.length} texts`)),
    )
    this.output.status(undefined)
    return result
  }

  /** Trains and writes the run's report beside the adapter. */
  private async adapt(adapter: Adapter): Promise<void> {
    const { now } = this.environment
    const view = new TrainingView(this.output, now)
    for await (const event of train(adapter, {
      ...settings,
      seed: this.seed,
      data: this.file('train.jsonl'),
      out: this.file('adapter'),
    })) {
      // The view names the report last: it has to be there by then.
      if (event.event === 'done') {
        const title = 'lowrank demo: train announcements'
        const out = this.file('adapter/report.html')
        await report(this.file('adapter'), { out, title })
      }
      if (this.output.json) this.output.printJson(event)
      else view.show(event)
    }
    view.close()
  }

  async run(): Promise<DemoResult> {
    const { bold, dim, green, yellow } = this.color
    const { seed } = this
    const { files, now } = this.environment
    const started = now()
    await this.emptyFolder()
    const where = { device: this.options.device, ...(this.options.threads && { threads: this.options.threads }) }
    const model = await loadModel(base, where)
    const heldOut = await writeDemoRows(files, this.out, seed)

    this.say(
      `${bold('lowrank demo')}: a language model of ${digits(model.parameterCount / 1e6, 2)} million parameters learns to announce trains`,
    )
    this.say(
      dim(`It was pretrained with lowrank on restaurants, weather, people and towns, and has never seen a departure board.`),
    )

    this.heading('Before')
    const before = await this.measure('before', model, heldOut)
    this.showSamples(heldOut, before.texts)

    this.heading('Training LoRA, r = 8, on all linear layers')
    const adapter = await addLora(model, { r: 8, alpha: 16, targetModules: 'all-linear', seed })
    await this.adapt(adapter)

    this.heading(`After, on ${heldOut.length} boards that were not in training`)
    const after = await this.measure('after', adapter, heldOut)
    this.showSamples(heldOut, after.texts)
    this.say()
    const line = (name: string, { loss, facts, exact }: Score): string[] => [
      name,
      loss.toFixed(4),
      percent(facts),
      percent(exact),
    ]
    const lines = [line('before', before), line('after', after)]
    for (const text of table(['', 'loss', 'facts stated', 'exactly right'], lines, [1, 2, 3])) this.say(`  ${text}`)

    this.heading('Merging: W + s·B·A as an ordinary model')
    const { mergedModules } = await merge(adapter).save(this.file('merged'))
    const merged = await loadModel(this.file('merged'), where)
    const again = await this.measure('merged', merged, heldOut)
    const texts = heldOut.map((row) => row.prompt + row.completion)
    const difference = largestDifference(await logitsOf(adapter, texts), await logitsOf(merged, texts))
    const same = again.texts.filter((text, i) => text === after.texts[i]).length
    this.say(
      `  ${mergedModules} layers merged; logits differ by at most ${digits(difference, 2)}, the loss by ${digits(Math.abs(again.loss - after.loss), 2)}`,
    )
    this.say(`  the same text on ${same} of ${heldOut.length} boards`)

    const checks: readonly (readonly [string, boolean])[] = [
      ['the adapter states the facts', after.facts >= required.facts && after.facts >= before.facts + required.factsGained],
      ['the loss fell', after.loss < before.loss / 2],
      ['merged and unmerged agree in their logits', difference <= required.mergedLogits],
      ['merged and unmerged agree in their loss', Math.abs(again.loss - after.loss) <= required.mergedLoss],
      ['merged and unmerged write the same', same >= required.sameTexts * heldOut.length],
    ]
    this.heading('Checks')
    for (const [what, holds] of checks) this.say(`  ${holds ? green('✓') : yellow('✗ not so:')} ${what}`)

    this.heading('Next')
    const prompt = heldOut[0]?.prompt.trim()
    const { out } = this
    this.say(`  ${dim('adapter, report')}  ${out}/adapter  ${dim('(PEFT loads it; open report.html for the curves)')}`)
    this.say(`  ${dim('merged model')}     ${out}/merged`)
    this.say(`  ${dim('rows')}             ${out}/train.jsonl, ${out}/eval.jsonl\n`)
    this.say(`  npx lowrank generate --model ${out}/merged --prompt $'${prompt}\\n'`)
    this.say(`  npx lowrank eval --model ${base} --adapter ${out}/adapter --data ${out}/eval.jsonl`)
    const seconds = (now() - started) / 1000
    this.say(dim(`\n${digits(seconds, 3)} s in all`))
    const numbers = ({ loss, facts, exact }: Score): DemoResult['before'] => ({ loss, facts, exact })
    return {
      before: numbers(before),
      after: numbers(after),
      mergedModules,
      maxAbsLogitDelta: difference,
      sameTexts: same,
      texts: heldOut.length,
      seconds,
      holds: checks.every(([, holds]) => holds),
    }
  }
}

/**
 * Trains, measures, merges and compares. Everything comes with the package and is seeded: no network, under two minutes on
 * two cores.
 * @throws InvalidOptionError if the folder holds anything but a former demo
 */
export const runDemo = (output: Output, options: DemoOptions): Promise<DemoResult> => new Demo(output, options).run()
