/** @file The model card that a run leaves beside its adapter. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createAdapter } from '../../src/adapter/adapter.js'
import { fullTrainee } from '../../src/train/trainee.js'
import { randomRows, runTraining, temporaryFolder, tinyModel, writeRows } from '../support/training.js'

const folder = temporaryFolder()
const model = tinyModel()
const data = writeRows(join(folder, 'rows.jsonl'), randomRows(6))
const options = { data, batchSize: 3, learningRate: 1e-2 }
const cardOf = (out: string): string => readFileSync(join(out, 'README.md'), 'utf8')

it('tells the losses of the whole run, resumed or not', async () => {
  const out = join(folder, 'resumed')
  const whole = join(folder, 'whole')
  const lora = { r: 2, targetModules: ['q_proj'] }
  const first = await runTraining(createAdapter(model, lora), { ...options, out, steps: 2, checkpointEvery: 2, evalData: data })
  const second = await runTraining(createAdapter(model, lora), { ...options, out, steps: 4, checkpointEvery: 2, evalData: data, resume: true }) // prettier-ignore
  await runTraining(createAdapter(model, lora), { ...options, out: whole, steps: 4, evalData: data })
  const text = cardOf(out)
  const told = (loss: number): string => String(Number(loss.toPrecision(6)))
  expect(text).toContain(`| Training loss, step 1 | ${told(first.steps[0]!.loss)} |`)
  expect(text).toContain(`| Training loss, step 4 | ${told(second.steps.at(-1)!.loss)} |`)
  expect(text).toContain(`| Evaluation loss, step 4 | ${told(second.evals.at(-1)!.loss)} |`)
  expect(text).toContain('| Rows | 6 |')
  expect(text).toContain('| steps | `4` |')
  expect(text).toContain('`rows.jsonl`')
  expect(text).not.toContain(folder)
  // The same run gives the same card.
  expect(cardOf(whole)).toBe(text)
})

it('leaves what others wrote, and can be switched off', async () => {
  const own = join(folder, 'own')
  mkdirSync(own)
  writeFileSync(join(own, 'README.md'), '# Mine')
  await runTraining(createAdapter(model, { r: 2 }), { ...options, out: own, steps: 1 })
  expect(cardOf(own)).toBe('# Mine')
  const none = join(folder, 'none')
  await runTraining(createAdapter(model, { r: 2 }), { ...options, out: none, steps: 1, modelCard: false })
  expect(existsSync(join(none, 'README.md'))).toBe(false)
  const full = join(folder, 'full')
  await runTraining(await fullTrainee(model), { ...options, out: full, steps: 1 })
  expect(existsSync(join(full, 'README.md'))).toBe(false)
})

it('names the licence that is given', async () => {
  const out = join(folder, 'licensed')
  await runTraining(createAdapter(model, { r: 2 }), { ...options, out, steps: 1, license: 'mit' })
  expect(cardOf(out)).toMatch(/\nlicense: mit\n/)
})
