/** @file One measurement of `serve` or `soak-serve` in a process of its own: `run.ts WHAT JSON`, the answer is a line of JSON on stdout. */
import { measureLoad, type LoadOptions } from './load.js'
import { soakServe } from './soak.js'
import { llamaWriter, lowrankWriter, type WriterOptions } from './writers.js'

const [what, text] = process.argv.slice(2)
const options = JSON.parse(text!) as WriterOptions & LoadOptions

async function load(): Promise<unknown> {
  const writer = await (what === 'llama.cpp' ? llamaWriter : lowrankWriter)(options)
  // What is compiled at first use is no part of it.
  await measureLoad(writer, { ...options, texts: 1, tokens: 4 })
  return measureLoad(writer, options)
}

const result = what === 'soak' ? await soakServe(options.texts) : await load()
// llama.cpp's threads would keep the process.
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
