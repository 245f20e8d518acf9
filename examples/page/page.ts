/**
 * @file A page that fine-tunes: rows from a text field, the model from beside the page, the adapter kept in its files.
 *
 * Bundle it with esbuild (see docs/browser.md) or give it to Vite as it is; `model/` and `ort/` lie beside index.html.
 */
import { addLora, browserEnvironment, generate, loadModel, memoryFiles, train } from 'lowrank/browser'

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T
const [rows, prompt, button, state, text] = [
  element<HTMLTextAreaElement>('rows'),
  element<HTMLInputElement>('prompt'),
  element<HTMLButtonElement>('train'),
  element<HTMLOutputElement>('state'),
  element<HTMLPreElement>('text'),
]
const here = (path: string): string => new URL(path, location.href).href

async function run(): Promise<void> {
  // What the page was given, and what it writes; `handleFiles` would survive a reload.
  const files = memoryFiles({ 'rows.jsonl': rows.value })
  const environment = browserEnvironment({ device: 'wasm', threads: 1, files, wasmPaths: here('ort/') })
  await using model = await loadModel(here('model'), { environment })
  const adapter = await addLora(model, { r: 4, alpha: 8, targetModules: 'all-linear' })
  for await (const event of train(adapter, { data: 'rows.jsonl', steps: 20, learningRate: 5e-3 }))
    if (event.event === 'step') state.value = `step ${event.step}: loss ${event.loss.toFixed(3)}`
  await adapter.save('my-adapter')
  text.textContent = (await generate(adapter, { prompt: `${prompt.value}\n`, maxNewTokens: 16 })).text
  state.value = `done: ${[...files.blobs.keys()].filter((path) => path.startsWith('my-adapter/')).join(', ')}`
}

button.addEventListener('click', () => {
  button.disabled = true
  run()
    .catch((error: unknown) => (state.value = String(error)))
    .finally(() => (button.disabled = false))
})
