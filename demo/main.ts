/**
 * @file The demo: `npm run demo`. A small base model that writes about restaurants and weather learns to announce trains.
 *
 * Everything is in the checkout and seeded: no network, under two minutes on two cores. It exits with 1 unless training
 * clearly helped and the merged model says what base and adapter together say.
 */
import { rm } from 'node:fs/promises'
import { digits, percent, table } from '../src/cli/format.js'
import { terminal } from '../src/cli/terminal.js'
import { TrainingView } from '../src/cli/training-view.js'
import { addLora, loadModel, merge, nodeEnvironment, train, type Adapter, type Model, type TrainEvent } from '../src/index.js'
import { renderReport } from '../src/report/html.js'
import { reportAssets } from '../src/report/node-assets.js'
import { HELD_OUT } from './held-out.js'
import { largestDifference, logitsOf, score, type Score } from './measure.js'
import { generateRows, toJsonl, type DemoRow } from './rows.js'

const BASE = 'demo/base'
const OUT = 'out/demo'
const TRAIN_ROWS = 6000
const SAMPLES = 3
// prettier-ignore
const settings = {
  steps: 375, batchSize: 16, learningRate: 5e-3, schedule: 'cosine', warmup: 20,
  groupByLength: true, maxLength: 128, seed: 1,
} as const

/** What must come true. The merged weights are rounded to the base's float16, which moves a logit by about a hundredth. */
const required = { facts: 0.75, factsGained: 0.3, mergedLogits: 0.25, mergedLoss: 0.01, sameTexts: 0.95 }

const output = terminal(process.stdout, process.stderr, process.env, false)
const { bold, dim, green, yellow, cyan } = output.color
const { files, now } = nodeEnvironment()

const say = (line = ''): void => output.print(line)
const heading = (text: string): void => say(`\n${bold(cyan(text))}`)

function showSamples(rows: readonly DemoRow[], texts: readonly string[]): void {
  rows.slice(0, SAMPLES).forEach((row, i) => {
    const text = texts[i] ?? ''
    say(`  ${dim(row.prompt.trim())}`)
    say(`  ${text === row.completion ? green('✓') : yellow('✗')} ${text.trim()}`)
  })
}

const measure = async (what: string, subject: Model | Adapter, rows: readonly DemoRow[]): Promise<Score> => {
  const result = await score(subject, rows, `${OUT}/eval.jsonl`, (done) =>
    output.status(dim(`${what}: ${done}/${rows.length} texts`)),
  )
  output.status(undefined)
  return result
}

/** Trains and writes the run's report beside the adapter. */
async function adapt(adapter: Adapter): Promise<void> {
  const view = new TrainingView(output, now)
  const events: TrainEvent[] = []
  for await (const event of train(adapter, { ...settings, data: `${OUT}/train.jsonl`, out: `${OUT}/adapter` })) {
    events.push(event)
    // The view names the report last: it has to be there by then.
    if (event.event === 'done') {
      const about = { title: 'lowrank demo: train announcements', model: BASE, hyperparameters: { ...settings } }
      await files.write(`${OUT}/adapter/report.html`, renderReport(events, about, await reportAssets()))
    }
    view.show(event)
  }
  view.close()
}

async function main(): Promise<boolean> {
  const started = now()
  await rm(OUT, { recursive: true, force: true })
  const model = await loadModel(BASE)
  // The rows of evaluation come from another seed; a prompt that both have is taken out of training.
  const heldOut = generateRows('trains', HELD_OUT.trains.rows, HELD_OUT.trains.seed)
  const known = new Set(heldOut.map((row) => row.prompt))
  const rows = generateRows('trains', TRAIN_ROWS, settings.seed).filter((row) => !known.has(row.prompt))
  await files.write(`${OUT}/train.jsonl`, toJsonl(rows))
  await files.write(`${OUT}/eval.jsonl`, toJsonl(heldOut))

  say(
    `${bold('lowrank demo')}: a language model of ${digits(model.parameterCount / 1e6, 2)} million parameters learns to announce trains`,
  )
  say(dim(`It was pretrained with lowrank on restaurants, weather, people and towns, and has never seen a departure board.`))

  heading('Before')
  const before = await measure('before', model, heldOut)
  showSamples(heldOut, before.texts)

  heading('Training LoRA, r = 8, on all linear layers')
  const adapter = await addLora(model, { r: 8, alpha: 16, targetModules: 'all-linear', seed: settings.seed })
  await adapt(adapter)

  heading(`After, on ${heldOut.length} boards that were not in training`)
  const after = await measure('after', adapter, heldOut)
  showSamples(heldOut, after.texts)
  say()
  const line = (name: string, { loss, facts, exact }: Score): string[] => [name, loss.toFixed(4), percent(facts), percent(exact)]
  const lines = [line('before', before), line('after', after)]
  for (const text of table(['', 'loss', 'facts stated', 'exactly right'], lines, [1, 2, 3])) say(`  ${text}`)

  heading('Merging: W + s·B·A as an ordinary model')
  const { mergedModules } = await merge(adapter).save(`${OUT}/merged`)
  const merged = await loadModel(`${OUT}/merged`)
  const again = await measure('merged', merged, heldOut)
  const texts = heldOut.map((row) => row.prompt + row.completion)
  const difference = largestDifference(await logitsOf(adapter, texts), await logitsOf(merged, texts))
  const same = again.texts.filter((text, i) => text === after.texts[i]).length
  say(
    `  ${mergedModules} layers merged; logits differ by at most ${digits(difference, 2)}, the loss by ${digits(Math.abs(again.loss - after.loss), 2)}`,
  )
  say(`  the same text on ${same} of ${heldOut.length} boards`)

  const checks: readonly (readonly [string, boolean])[] = [
    ['the adapter states the facts', after.facts >= required.facts && after.facts >= before.facts + required.factsGained],
    ['the loss fell', after.loss < before.loss / 2],
    ['merged and unmerged agree in their logits', difference <= required.mergedLogits],
    ['merged and unmerged agree in their loss', Math.abs(again.loss - after.loss) <= required.mergedLoss],
    ['merged and unmerged write the same', same >= required.sameTexts * heldOut.length],
  ]
  heading('Checks')
  for (const [what, holds] of checks) say(`  ${holds ? green('✓') : yellow('✗ not so:')} ${what}`)

  heading('Next')
  const prompt = heldOut[0]?.prompt.trim()
  say(`  ${dim('adapter, report')}  ${OUT}/adapter  ${dim('(PEFT loads it; open report.html for the curves)')}`)
  say(`  ${dim('merged model')}     ${OUT}/merged`)
  say(`  ${dim('rows')}             ${OUT}/train.jsonl, ${OUT}/eval.jsonl\n`)
  say(`  npm run build`)
  say(`  npx lowrank generate --model ${OUT}/merged --prompt $'${prompt}\\n'`)
  say(`  npx lowrank eval --model ${BASE} --adapter ${OUT}/adapter --data ${OUT}/eval.jsonl`)
  say(dim(`\n${digits((now() - started) / 1000, 3)} s in all`))
  return checks.every(([, holds]) => holds)
}

process.exitCode = (await main()) ? 0 : 1
