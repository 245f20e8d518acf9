/** The page of the browser test: three steps on the demo's base model, saved in the page's private file system. */
import { addLora, browserEnvironment, evaluate, generate, handleFiles, loadAdapter, loadModel, train } from '../../src/browser.js'

/** What the page reports. */
export interface PageResult {
  readonly losses: readonly number[]
  readonly gradNorms: readonly number[]
  /** Of the base and of the adapter after its way through a file. */
  readonly evaluation: readonly number[]
  /** Not on WebGPU. */
  readonly text?: string | undefined
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
  // Known: WebGPU in a page cannot bind the empty cache that generation starts with.
  const text = device === 'webgpu' ? undefined : (await generate(loaded, { prompt: 'name', maxNewTokens: 8 })).text
  return { losses, gradNorms, evaluation: [base, (await evaluate(loaded, { data })).loss], text, warnings }
}

run(new URL(location.href).searchParams.get('device') as 'wasm' | 'webgpu')
  .then((result) => ({ result }))
  .catch((error: unknown) => ({
    error: error instanceof Error ? `${error.name}: ${error.message}\n${error.stack}` : String(error),
  }))
  .then((body) => fetch('/done', { method: 'POST', body: JSON.stringify(body) }))
