/** @file Generates a token with the built package; arguments: where (main, or a kind of worker), and how long to stay afterwards, in milliseconds. */
import { isMainThread, SHARE_ENV, Worker } from 'node:worker_threads'

const entry = new URL('../../dist/index.js', import.meta.url).href
const [where, stay] = process.argv.slice(2)
if (isMainThread && where !== 'main') {
  if (where === 'worker-after-import') await import(entry)
  const worker = new Worker(new URL(import.meta.url), {
    argv: ['main', '0'],
    ...(where === 'worker-shared' && { env: SHARE_ENV }),
  })
  worker.on('error', (error) => console.error(`${error.name}: ${error.message}`))
} else {
  const { generate, loadModel } = await import(entry)
  await generate(await loadModel('demo/base'), { prompt: 'name', maxNewTokens: 1 })
  console.log('generated')
  await new Promise((resolve) => setTimeout(resolve, Number(stay)))
}
