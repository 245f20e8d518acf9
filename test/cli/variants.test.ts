/** @file Flags of `lowrank train` for parts of an adapter beside A and B. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { goldenRows, readAll } from './golden-rows.js'
import { golden, runCli, temporaryFolder } from './run-cli.js'

const folder = temporaryFolder()
const model = join(golden, 'llama', 'model')
const data = join(folder, 'rows.jsonl')
beforeAll(async () => writeFileSync(data, await goldenRows('llama')))

const train = (out: string, ...flags: string[]) =>
  runCli(['train', '--model', model, '--data', data, '--out', join(folder, out), '--steps', '2', '--json', ...flags])
const configOf = (out: string) =>
  JSON.parse(readFileSync(join(folder, out, 'adapter_config.json'), 'utf8')) as Record<string, unknown>
const tensorsOf = (out: string) => readAll(join(folder, out, 'adapter_model.safetensors'))

it('--trainable-token-indices stores rows of the embedding', async () => {
  const ids = (JSON.parse(readFileSync(data, 'utf8').split('\n')[0]!) as { input_ids: number[] }).input_ids
  const [token, other] = [ids[4]!, ids[5]!]
  const result = await train('tokens', '--trainable-token-indices', `${token},${other}`)
  expect([result.code, result.stderr]).toEqual([0, ''])
  expect(configOf('tokens')['trainable_token_indices']).toEqual([token, other])
  const rows = (await tensorsOf('tokens')).get('base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta')
  const table = (await readAll(join(model, 'model.safetensors'))).get('model.embed_tokens.weight')!
  expect(rows).toHaveLength(2 * 32)
  expect(rows!.slice(0, 32)).not.toEqual(table.slice(token * 32, (token + 1) * 32))
})

it('--lora-bias gives B a bias', async () => {
  const result = await train('bias', '--lora-bias')
  expect([result.code, result.stderr]).toEqual([0, ''])
  expect(configOf('bias')['lora_bias']).toBe(true)
  const bias = (await tensorsOf('bias')).get('base_model.model.model.layers.1.self_attn.q_proj.lora_B.bias')!
  expect(Math.hypot(...bias)).toBeGreaterThan(0)
})

it('--freeze-a leaves A as it begins, and is for new adapters', async () => {
  const results = [await train('frozen', '--freeze-a'), await train('trained'), await train('begun', '--lr', '0')]
  expect(results.map(({ code, stderr }) => [code, stderr])).toEqual(results.map(() => [0, '']))
  const [frozen, trained, begun] = [await tensorsOf('frozen'), await tensorsOf('trained'), await tensorsOf('begun')]
  for (const [name, first] of begun) {
    if (name.includes('lora_A')) expect(frozen.get(name), name).toEqual(first)
    else expect(frozen.get(name), name).not.toEqual(first)
    expect(trained.get(name), name).not.toEqual(first)
  }
  const refused = await train('more', '--freeze-a', '--adapter', join(folder, 'frozen'))
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('--freeze-a is for new adapters')])
})
