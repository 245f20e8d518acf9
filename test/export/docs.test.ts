/** @file The example of docs/export.md runs as it stands, with onnxruntime-node alone, and gives lowrank's own tokens. */
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { addLora, exportWithAdapterInputs, generate, loadModel, type Adapter } from '../../src/index.js'
import { Random } from '../../src/util/rng.js'
import { blocksOf } from '../support/document.js'
import { temporaryFolder } from '../support/training.js'

const root = resolve(import.meta.dirname, '../..')

it('docs/export.md: greedy decoding with adapters of two ranks, and without any', async () => {
  const [example] = blocksOf('js', join(root, 'docs/export.md'))
  const model = await loadModel(join(root, 'demo/base'), { threads: 1 })
  const adapterOf = async (r: number): Promise<Adapter> => {
    const adapter = await addLora(model, { r, alpha: 3 * r, targetModules: ['q_proj', 'down_proj'] })
    const random = new Random(r)
    for (const { name } of adapter.parameters.specs) {
      const values = adapter.parameters.view(name)
      for (let i = 0; i < values.length; i++) values[i] = 0.2 * random.normal()
    }
    return adapter
  }
  const adapters = { small: await adapterOf(2), large: await adapterOf(5) }
  const out = join(temporaryFolder(), 'switchable')
  await exportWithAdapterInputs(adapters, out)
  const prompt = (await model.tokenizer())!.encode('The game was')
  const texts = new Set<string>()
  for (const [name, subject] of Object.entries({ ...adapters, base: model })) {
    // There is no script's name among the arguments of --eval: one is put where the example looks for it.
    const args = ['--input-type=module', '--eval', example!, 'decode.mjs', out, name, ...prompt.map(String)]
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
    const { ids } = await generate(subject, { inputIds: prompt, maxNewTokens: 20 })
    expect(JSON.parse(stdout)).toEqual(ids)
    texts.add(stdout)
  }
  expect(texts.size).toBe(3)
})
