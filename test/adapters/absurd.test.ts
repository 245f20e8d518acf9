/** @file Absurd numbers and nestings in files of strangers: an error of ours, before time or memory is spent on them. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createAdapter as newLora } from '../../src/adapter/adapter.js'
import { encodeSafetensors, readSafetensorsHeader } from '../../src/formats/safetensors.js'
import { readZip } from '../../src/formats/torch/zip.js'
import { float32 } from '../../src/graph/constants.js'
import { addLora, inspect, loadAdapter, loadModel, LowrankError } from '../../src/index.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { llamaConfig, temporaryFolder, testEnvironment, tinyModel, writeModel } from '../support/training.js'
import { runCli } from '../../src/cli/app.js'

const folder = temporaryFolder()
const files = nodeFiles()
const model = tinyModel(llamaConfig, testEnvironment())
const saved = await addLora(model, { r: 2, targetModules: ['q_proj'] })
let counter = 0

/** An adapter's folder with some keys of its configuration as JSON text. */
async function adapterWith(fields: Readonly<Record<string, string>>): Promise<string> {
  const path = join(folder, `adapter-${counter++}`)
  mkdirSync(path)
  writeFileSync(join(path, 'adapter_model.safetensors'), encodeSafetensors(saved.tensors))
  const all = { peft_type: '"LORA"', r: '2', target_modules: '["q_proj"]', ...fields }
  writeFileSync(join(path, 'adapter_config.json'), `{${Object.entries(all).map(([k, v]) => `"${k}":${v}`).join(',')}}`) // prettier-ignore
  return path
}

/** The message of an error of ours. */
async function refusal(run: () => Promise<unknown>): Promise<string> {
  const error = await run().catch((e: unknown) => e)
  expect(error).toBeInstanceOf(LowrankError)
  return (error as Error).message
}

const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
const nested = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`

describe('adapter_config.json', () => {
  it.each([
    [{ r: '10000000' }, /expected \[10000000, 8\], found \[2, 8\]/],
    [{ r: '9007199254740991' }, /expected \[9007199254740991, 8\], found \[2, 8\]/],
    [{ r: '1e400' }, /"r" must be an integer above 0/],
    [{ rank_pattern: '{"q_proj": 10000000}' }, /expected \[10000000, 8\]/],
    [{ lora_alpha: '1e999' }, /"lora_alpha" must be a number/],
    [
      { layer_replication: `[${'[0,2],'.repeat(20_000)}[0,1]]` },
      /asks for 40001 layers, in 20001 ranges; the largest number is 512/,
    ],
    [{ layer_replication: '[[0,900000000000]]' }, /must be ranges \[first, end\) of the model's 2 layers/],
    [
      { rank_pattern: `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":1`).join(',')}}` },
      /"rank_pattern" has 20000 entries/,
    ],
    [
      { modules_to_save: JSON.stringify(Array.from({ length: 20_000 }, (_, i) => `m${i}`)) },
      /"modules_to_save" has 20000 entries/,
    ],
    [{ r: deep }, /not valid JSON: it is nested more than 100 deep/],
    [{ some_future_key: nested }, /nested more than 100 deep/],
    [{ r: JSON.stringify('x'.repeat(3_000_000)) }, /"r" must be an integer above 0, got "x+ … \(\d+ characters left out\)/],
  ])('%#', async (fields: Record<string, string>, message) => {
    const path = await adapterWith(fields)
    const text = await refusal(() => loadAdapter(model, path))
    expect(text).toMatch(message)
    expect(text.length).toBeLessThan(21_000)
  })

  it('many targets, of which one is there, are no trouble', async () => {
    const names = JSON.stringify(['q_proj', ...Array.from({ length: 100_000 }, (_, i) => `layer.${i}.q`)])
    const path = await adapterWith({ target_modules: names })
    expect((await loadAdapter(model, path)).targets).toHaveLength(2)
    expect(await inspect(path)).toMatchObject({ kind: 'adapter' })
  })

  it('many trained tokens are compared in one pass', () => {
    const tokens = Array.from({ length: 300_000 }, (_, i) => i % 3)
    expect(() => newLora(model, { r: 1, trainableTokenIndices: tokens, targetModules: ['q_proj'] })).toThrow(
      /must be different numbers from 0 to 16/,
    )
  })
})

describe('other files', () => {
  it('config.json of a model', async () => {
    const path = join(folder, 'deep-model')
    mkdirSync(path)
    writeModel(path)
    writeFileSync(join(path, 'config.json'), `{"model_type":"llama","x":${deep}}`)
    expect(await refusal(() => loadModel(path))).toMatch(/config\.json is not valid JSON: it is nested more than 100 deep/)
    expect(await refusal(() => inspect(path))).toMatch(/nested more than 100 deep/)
  })

  it('a safetensors header', async () => {
    const write = (header: string): string => {
      const path = join(folder, `file-${counter++}.safetensors`)
      const length = Buffer.alloc(8)
      length.writeBigUInt64LE(BigInt(header.length))
      writeFileSync(path, Buffer.concat([length, Buffer.from(header)]))
      return path
    }
    expect(await refusal(() => readSafetensorsHeader(files, write(`{"__metadata__":${deep}}`)))).toMatch(
      /nested more than 100 deep/,
    )
    const many = Array.from({ length: 400_000 }, (_, i) => `"t${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`).join(',')
    expect(await refusal(() => readSafetensorsHeader(files, write(`{${many}}`)))).toMatch(/names more than 100000 tensors/)
    const escaped =
      '{"a\\"\\\\":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a\\u0022\\\\":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
    expect(await refusal(() => readSafetensorsHeader(files, write(escaped)))).toMatch(/has the key "a"\\" twice/)
  })

  it('a zip archive of many entries', async () => {
    const entry = Buffer.alloc(46)
    entry.writeUInt32LE(0x02014b50, 0)
    const end = Buffer.alloc(22)
    end.writeUInt32LE(0x06054b50, 0)
    end.writeUInt16LE(65_000, 10)
    end.writeUInt32LE(46 * 65_000, 12)
    const path = join(folder, 'many.zip')
    writeFileSync(path, Buffer.concat([...Array.from({ length: 65_000 }, () => entry), end]))
    expect(await refusal(() => readZip(files, path))).toMatch(/has 65000 entries, more than 16384/)
  })

  it('a torch file of many small tensors is read', async () => {
    const { encodeTorch, openTorch, namedTensors } = await import('../../src/formats/torch/index.js')
    const path = join(folder, 'small.pt')
    const tensors = new Map(Array.from({ length: 3000 }, (_, i) => [`t${i}`, float32([1], Float32Array.of(i))] as const))
    writeFileSync(path, encodeTorch(tensors))
    expect(namedTensors(await openTorch(files, path)).tensors.size).toBe(3000)
  })

  it.each([
    ['aliases that stand for aliases', `${'a0: &a0 [1,1,1,1,1,1,1,1,1]\n'}${Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array.from({ length: 9 }, () => `*a${i}`).join(',')}]`).join('\n')}\n`, /aliases .* stand for too much/], // prettier-ignore
    ['nesting', `lr: ${'['.repeat(50_000)}${']'.repeat(50_000)}\n`, /nested too deeply|is not valid YAML|must/],
    ['length', `# ${'x'.repeat(2_000_000)}\n`, /has 2000003 characters/],
  ])('a config file: %s', async (_, text, message) => {
    const path = join(folder, `config-${counter++}.yaml`)
    writeFileSync(path, text)
    let stderr = ''
    const stream = { write: (chunk: string) => void (stderr += chunk) }
    const surroundings = { stdout: stream, stderr: stream, env: {}, version: '0', interrupted: new AbortController().signal }
    const code = await runCli(['train', '--config', path, '--model', 'x', '--data', 'y', '--out', 'z'], surroundings)
    expect(code).toBe(2)
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/unexpected error/)
  })
})
