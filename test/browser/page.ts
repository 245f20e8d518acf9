/** @file The page of the browser test: three steps on the demo's base model, saved in the page's private file system. */
import {
  AdapterSet,
  addLora,
  browserEnvironment,
  evaluate,
  generate,
  handleFiles,
  loadAdapter,
  loadModel,
  train,
} from '../../src/browser.js'

/** What the page reports. */
export interface PageResult {
  readonly losses: readonly number[]
  readonly gradNorms: readonly number[]
  /** Of the base and of the adapter after its way through a file. */
  readonly evaluation: readonly number[]
  /** Of the adapter; of a set of adapters of which none is active; of the adapter by a beam search. */
  readonly texts: readonly string[]
  readonly warnings: readonly string[]
}

async function run(device: 'wasm' | 'webgpu'): Promise<PageResult> {
  const warnings: string[] = []
  const environment = browserEnvironment({
    device,
    threads: 1,
    wasmPaths: new URL('/ort/', location.href).href,
    files: handleFiles(await navigator.storage.getDirectory()),
    onWarning: (message) => warnings.push(message),
  })
  const model = await loadModel(new URL('/model', location.href).href, { environment })
  const data = new URL('/rows.jsonl', location.href).href
  const adapter = await addLora(model, { r: 4, alpha: 8, seed: 1 })
  const base = (await evaluate(model, { data })).loss
  const losses: number[] = []
  const gradNorms: number[] = []
  for await (const event of train(adapter, { data, steps: 3, batchSize: 2, learningRate: 1e-2, shuffle: false })) {
    if (event.event !== 'step') continue
    losses.push(event.loss)
    gradNorms.push(event.gradNorm)
  }
  await adapter.save(`adapters/${device}`)
  const loaded = await loadAdapter(model, `adapters/${device}`)
  const set = new AdapterSet(model)
  await set.add('trained', loaded)
  const texts: string[] = []
  for (const [subject, beams] of [
    [loaded, 1],
    [set, 1],
    [loaded, 2],
  ] as const)
    // prettier-ignore
    texts.push((await generate(subject, { prompt: 'name', maxNewTokens: 8, beams })).text)
  return { losses, gradNorms, evaluation: [base, (await evaluate(loaded, { data })).loss], texts, warnings }
}

run(new URL(location.href).searchParams.get('device') as 'wasm' | 'webgpu')
  .then((result) => ({ result }))
  .catch((error: unknown) => ({
    error: error instanceof Error ? `${error.name}: ${error.message}\n${error.stack}` : String(error),
  }))
  .then((body) => fetch('/done', { method: 'POST', body: JSON.stringify(body) }))
