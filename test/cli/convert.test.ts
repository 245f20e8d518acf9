/** @file `lowrank convert` and `lowrank inspect` on torch files and adapters of other formats. */
import { cpSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { golden, runCli, temporaryFolder } from './run-cli.js'

const folder = temporaryFolder()
const fixtures = resolve(import.meta.dirname, '../fixtures')

describe('convert', () => {
  it('writes what the ending says, and prints what it did', async () => {
    const out = join(folder, 'llama.onnx_adapter')
    const { code, json, stderr } = await runCli(['convert', '--from', join(golden, 'llama/adapter'), '--to', out, '--json'])
    expect(stderr).toBe('')
    expect(code).toBe(0)
    const [result] = json()
    expect(result).toMatchObject({ out, from: 'peft', format: 'onnx-adapter' })
    expect(result!['notes']).toEqual([expect.stringMatching(/scale is multiplied into B/)])
    const seen = await runCli(['inspect', out, '--json'])
    expect(seen.json()[0]).toMatchObject({ kind: 'adapter-file', format: 'onnx-adapter', tensors: result!['tensors'] })
  })

  it('writes GGUF for llama.cpp once the model is told', async () => {
    const out = join(folder, 'llama.gguf')
    const args = ['convert', '--from', join(golden, 'llama/adapter'), '--to', out, '--json']
    const refused = await runCli(args)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/base model must be told: give --model/)
    const { json, stderr } = await runCli([...args, '--model', join(golden, 'llama/model')])
    expect(stderr).toBe('')
    expect(json()[0]).toMatchObject({ out, from: 'peft', format: 'gguf', lossless: true, notes: [] })
    const seen = await runCli(['inspect', out, '--json'])
    expect(seen.json()[0]).toMatchObject({
      kind: 'adapter-file',
      format: 'gguf',
      r: 4,
      alpha: 8,
      targetModules: ['q_proj', 'v_proj'],
    })
    const back = await runCli(['convert', '--from', out, '--to', join(folder, 'llama-back'), '--json'])
    expect(back.json()[0]).toMatchObject({ from: 'gguf', format: 'peft', lossless: true })
  })

  it('replaces what is there only if that is meant', async () => {
    const from = join(golden, 'llama/adapter')
    const file = join(folder, 'taken.onnx_adapter')
    writeFileSync(file, 'mine')
    const args = ['convert', '--from', from, '--to', file]
    const refused = await runCli(args)
    expect([refused.code, refused.stderr]).toEqual([
      1,
      `error: "${file}" is there already. Choose another name, or replace it with --overwrite.\n`,
    ])
    expect(readFileSync(file, 'utf8')).toBe('mine')
    expect((await runCli([...args, '--overwrite'])).code).toBe(0)
    expect(readFileSync(file, 'utf8')).not.toBe('mine')

    const to = join(folder, 'taken')
    cpSync(from, to, { recursive: true })
    const toMlx = ['convert', '--to', to, '--format', 'mlx']
    expect((await runCli([...toMlx, '--from', from])).stderr).toContain(`"${to}" holds a finished adapter`)
    // What cannot be converted removes nothing.
    const torn = join(folder, 'torn')
    cpSync(from, torn, { recursive: true })
    truncateSync(join(torn, 'adapter_model.safetensors'), 400)
    expect((await runCli([...toMlx, '--from', torn, '--overwrite'])).code).toBe(1)
    expect(readdirSync(to)).toEqual(readdirSync(from))
    expect((await runCli([...toMlx, '--from', from, '--overwrite'])).code).toBe(0)
    expect(readdirSync(to).sort()).toEqual(['adapter_config.json', 'adapters.safetensors'])
  })

  it('a mistake is one line and exit code 1 or 2', async () => {
    const hostile = await runCli(['inspect', join(fixtures, 'torch/hostile-system.pt')])
    expect(hostile.code).toBe(1)
    expect(hostile.stderr).toMatch(/^error: .*"posix\.system"/)
    const wrong = await runCli(['convert', '--from', 'a', '--to', 'b', '--format', 'gif'])
    expect(wrong.code).toBe(2)
  })
})

const real = resolve(import.meta.dirname, '../../../shared/models')
describe.skipIf(!existsSync(real))('real checkpoints', () => {
  const mnli = join(real, 'roberta-base-lora-mnli/roberta_base_lora_mnli.bin')

  it("inspects the paper's own adapter", async () => {
    const { json } = await runCli(['inspect', mnli, '--json'])
    const [found] = json() as [{ modules: { name: string; r: number }[] }]
    expect(found).toMatchObject({
      kind: 'adapter-file',
      format: 'loralib',
      r: 8,
      alpha: null,
      targetModules: ['query', 'value'],
      modulesToSave: ['classifier'],
      tensors: 52,
    })
    expect(found.modules).toHaveLength(24)
    expect(found.modules.every(({ r }) => r === 8)).toBe(true)
  })

  it('converts it to PEFT once alpha is told', async () => {
    const refused = await runCli(['convert', '--from', mnli, '--to', join(folder, 'mnli')])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/does not tell alpha.*--alpha 16/)
    const { code, json } = await runCli(['convert', '--from', mnli, '--to', join(folder, 'mnli'), '--alpha', '16', '--json'])
    expect(code).toBe(0)
    expect(json()[0]).toMatchObject({ from: 'loralib', format: 'peft', tensors: 52, lossless: true })
  })

  it('inspects a legacy stream', async () => {
    const { json } = await runCli(['inspect', join(real, 'resnet-cifar10/resnet20-12fca82f.th'), '--json'])
    expect(json()[0]).toMatchObject({ kind: 'torch', tensors: 97, metadata: { 'read from': 'state_dict', beside: 'best_prec1' } })
  })
})
