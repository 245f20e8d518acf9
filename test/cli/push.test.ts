/** @file `lowrank push` as a process: what it prints, a token that is missing, and bytes that arrive; and a run's card on the way. */
import { readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { publishingHub, type PublishingHub } from '../hub/publishing-hub.js'
import { golden, runCli, temporaryFolder, type Result } from './run-cli.js'

const root = temporaryFolder()
const folder = join(root, 'out')
const name = 'someone/adapter'
const tensors = Buffer.alloc(3000, 7)
let hub: PublishingHub

beforeAll(async () => {
  hub = await publishingHub(name, 'may-write')
  await mkdir(folder)
  await writeFile(join(folder, 'adapter_config.json'), '{"base_model_name_or_path":"./local"}')
  await writeFile(join(folder, 'adapter_model.safetensors'), tensors)
  await writeFile(join(folder, 'log.jsonl'), '{}')
})
afterAll(() => hub.close())

const push = (args: readonly string[], token = 'may-write'): Promise<Result> =>
  runCli(['push', ...args], { HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: '', HF_HOME: root, HF_TOKEN: token })

it('says what it would send, to people and to programs', async () => {
  const told = await push([folder, name, '--dry-run'], '')
  expect(told.code).toBe(0)
  expect(told.stdout).toMatch(/^would push adapter to someone\/adapter \(main\)\n/)
  expect(told.stdout).toMatch(/adapter_model\.safetensors +3 kB\n2 files, 3.04 kB\nnothing was sent\n$/)
  expect(told.stderr).toMatch(/warning: .*"\.\/local" as its base model/)
  const { json } = await push([folder, name, '--dry-run', '--json', '--include', 'log.jsonl', '--revision', 'v2'], '')
  expect(json()).toEqual([
    {
      ...{ repository: name, revision: 'v2', kind: 'adapter', url: `${hub.endpoint}/${name}` },
      files: [
        { path: 'adapter_config.json', size: 37 },
        { path: 'adapter_model.safetensors', size: 3000 },
        { path: 'log.jsonl', size: 2 },
      ],
    },
  ])
  expect(hub.requests).toEqual([])
})

it('sends it, and says where it is', async () => {
  const sent = await push([folder, name, '--private', '--message', 'First'])
  expect(sent.stdout).toMatch(/^pushed adapter to someone\/adapter \(main\)\n[^]*\/someone\/adapter commit a{40}\n$/)
  expect(hub.branches.get('main')?.['adapter_model.safetensors']).toEqual(tensors)
  expect(hub.repository).toEqual({ private: true })
  expect(hub.commits).toMatchObject([{ title: 'First' }])
  const asked = await push([folder, name, '--pr', '--json'])
  expect(asked.json()).toMatchObject([{ url: `${hub.endpoint}/${name}/discussions/1` }])
})

it('needs a folder, a name and a token', async () => {
  expect((await push([folder])).stderr).toMatch(/lowrank push needs OWNER\/NAME/)
  expect((await push([])).stderr).toMatch(/lowrank push needs DIR and OWNER\/NAME/)
  const refused = await push([folder, name], '')
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/error: pushing to .* needs an access token/)
  expect((await push([root, name])).stderr).toMatch(/error: .*holds neither an adapter/)
})

it("a run's card has the command that a shell takes, without secrets, and an evaluation", async () => {
  const out = join(root, 'my run')
  const rows = join(root, 'rows.jsonl')
  await writeFile(rows, '{"input_ids":[1,2,3]}\n{"input_ids":[3,2,1]}\n')
  const args = ['train', '--model', join(golden, 'llama', 'model'), '--data', rows, '--eval-data', rows, '--out', out, '--steps', '1', '--report-to', 'tensorboard', '--run-name', 'hf_0123456789abcdef'] // prettier-ignore
  const run = await runCli(args)
  expect(run.stderr).not.toMatch(/error/)
  const card = await readFile(join(out, 'README.md'), 'utf8')
  expect(card).toContain(`\`\`\`sh\nlowrank train --model ${join(golden, 'llama', 'model')} --data ${rows} --eval-data ${rows} --out '${out}' --steps 1 --report-to tensorboard --run-name 'hf_…'\n\`\`\``) // prettier-ignore
  expect(card).toMatch(/^---\nlibrary_name: peft\n[^]*\nmodel-index:\n- name: model-lora\n[^]*name: rows.jsonl\n/)
  const shown = await push([out, name, '--dry-run', '--json'])
  const files = (shown.json()[0] as { files: { path: string }[] }).files.map(({ path }) => path)
  expect(files).toEqual(['README.md', 'adapter_config.json', 'adapter_model.safetensors'])
  expect(readFileSync(join(out, 'log.jsonl'), 'utf8')).not.toBe('')
})
