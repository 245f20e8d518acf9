/**
 * @file A run that writes a checkpoint after each step, to be killed. It gets ready, and begins when stdin says how many
 * steps.
 */
import { once } from 'node:events'
import { createAdapter } from '../../src/adapter/adapter.js'
import { FolderModel } from '../../src/model/folder-model.js'
import { train } from '../../src/train/trainer.js'
import { testEnvironment } from '../support/environment.js'
import { killOptions } from './kill-options.js'

const folder = process.argv[2]!
const model = await FolderModel.open(`${folder}/model`, testEnvironment())
const adapter = createAdapter(model, { r: 2, targetModules: 'all-linear', dropout: 0.2 })
const [steps] = (await once(process.stdin, 'data')) as [Buffer]
process.stdin.unref()
for await (const event of train(adapter, {
  ...killOptions(folder, Number(steps.toString())),
  out: `${folder}/out`,
  resume: true,
}))
  if (event.event === 'start') process.stdout.write(`start ${event.resumedAt}\n`)
process.stdout.write('done\n')
