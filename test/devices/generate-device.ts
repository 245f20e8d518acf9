/**
 * @file A process that generates on a device and on the CPU, and prints one JSON line for each golden model: greedily, with
 * a set of adapters of which none is active, in a batch and by a beam search. Arguments: device, then golden models
 * by name or others by folder.
 */
import { addLora, AdapterSet, generate, generateBatch, loadModel } from '../../src/index.js'
import type { Device } from '../../src/runtime/runtime.js'

/** What is printed for a model: the tokens on the CPU and on the device. */
export interface GenerateResult {
  readonly name: string
  readonly cpu: readonly (readonly number[])[]
  readonly device: readonly (readonly number[])[]
}

async function tokens(name: string, device: Device): Promise<readonly (readonly number[])[]> {
  const model = await loadModel(name.includes('/') ? name : `test/fixtures/golden/peft/${name}/model`, { device, threads: 1 })
  const set = new AdapterSet(model)
  await set.add('one', await addLora(model, { r: 2, seed: 1 }))
  const options = { inputIds: [5, 17, 60, 3], maxNewTokens: 6 }
  const batch = await generateBatch(model, [{ inputIds: [7] }, { inputIds: [44, 45, 46] }], { maxNewTokens: 4 })
  const results = [
    await generate(model, options),
    await generate(set, options),
    ...batch,
    await generate(model, { ...options, beams: 3 }),
  ]
  return results.map(({ ids }) => ids)
}

const [device, ...names] = process.argv.slice(2) as [Device, ...string[]]
for (const name of names) {
  const result: GenerateResult = { name, cpu: await tokens(name, 'cpu'), device: await tokens(name, device) }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}
process.exit(0)
