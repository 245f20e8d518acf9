/** @file `lowrank paper nlg prepare|beam|decode`: the stages one after the other, with the flags of the original scripts. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { runCli, temporaryFolder } from './run-cli.js'

const fixtures = 'test/fixtures/paper/nlg'
const { files } = JSON.parse(readFileSync(`${fixtures}/texts.json`, 'utf8')) as { readonly files: Record<string, string> }
const { rank, alpha } = JSON.parse(readFileSync(`${fixtures}/beams.json`, 'utf8')) as {
  readonly rank: number
  readonly alpha: number
}

const folder = temporaryFolder()
const at = (name: string): string => join(folder, name)
const nlg = (stage: string, ...args: readonly string[]) => runCli(['paper', 'nlg', stage, ...args])

beforeAll(() => {
  for (const [name, text] of Object.entries(files)) writeFileSync(at(name), text)
})

describe('the stages', () => {
  it('lead from a published file to texts beside their references', async () => {
    const prepared = await nlg('prepare', 'e2e', at('e2e.txt'), at('test.jsonl'), '--vocab', folder, '--json')
    expect(prepared.json()).toEqual([{ formatted: at('test_formatted.jsonl'), encoded: at('test.jsonl'), rows: 5, contexts: 4 }])

    // The tiny model knows 48 tokens alone.
    const rows = [[4, 7], [4, 7], [9], [1, 2, 3], [40]].map((context) => `${JSON.stringify({ context, completion: [1] })}\n`)
    writeFileSync(at('tokens.jsonl'), rows.join(''))
    const model = ['--init_checkpoint', `${fixtures}/model.full.pt`, '--lora_dim', String(rank), '--lora_alpha', String(alpha)]
    const lengths = ['--seq_len', '40', '--eval_len', '8', '--beam', '3', '--eos_token_id', '7,30', '--platform', 'local']
    const found = await nlg('beam', '--data', at('tokens.jsonl'), ...model, ...lengths, '--work_dir', at('out'), '--json')
    expect(found.stderr).toBe('')
    expect(found.json()).toEqual([{ out: `${at('out')}/beam_prediction.jsonl`, rows: 5, contexts: 4 }])

    const names = ['--sample_file', at('out/beam_prediction.jsonl'), '--input_file', at('test_formatted.jsonl')]
    const texts = ['--output_ref_file', at('refs.txt'), '--output_pred_file', at('hyps.txt')]
    const one = await nlg('decode', '--vocab', folder, ...names, ...texts.slice(0, 3), texts[1]!)
    expect(one.stderr).toContain('refs.txt" would be written twice, the second time over the first; name two files')
    const decoded = await nlg('decode', '--vocab', folder, ...names, ...texts, '--lower')
    expect(decoded.stdout).toMatch(/^4 segments with 5 references → .*hyps\.txt\n$/)
    expect(readFileSync(at('refs.txt'), 'utf8').split('\n\n')).toHaveLength(5)
    expect(readFileSync(at('hyps.txt'), 'utf8').match(/\n/g)).toHaveLength(4)
  })
})

describe('what is refused', () => {
  it('is a file that is there or is read, before any work', async () => {
    copyFileSync(at('e2e.txt'), at('there_formatted.jsonl'))
    const there = await nlg('prepare', 'e2e', at('e2e.txt'), at('there.jsonl'), '--vocab', folder)
    expect([there.code, there.stderr]).toEqual([1, `error: "${at('there_formatted.jsonl')}" is there already. Choose another file, or replace it with --overwrite.\n`]) // prettier-ignore
    expect((await nlg('prepare', 'e2e', at('e2e.txt'), at('there.jsonl'), '--vocab', folder, '--overwrite')).code).toBe(0)
    const own = await nlg('prepare', 'e2e', at('e2e.txt'), at('e2e.txt'), '--overwrite')
    expect(own.stderr).toContain('is a file that is read, which is never replaced')
  })

  it('are flags that nothing would read', async () => {
    const usage = async (stage: string, args: readonly string[], message: string) =>
      expect(await nlg(stage, ...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) as string })
    await usage('prepare', ['e2e', 'a', 'b', '--add_bos'], '--add_bos and --add_eos are for tokens: give --vocab DIR.')
    await usage('prepare', ['formatted', 'a', 'b'], 'of texts the tokens are written: give --vocab DIR.')
    await usage('prepare', ['e2f', 'a', 'b'], 'DATASET is one of e2e, webnlg, dart, formatted, got "e2f".')
    await usage('prepare', ['e2e', 'a', 'b', '--add-bos'], 'unknown flag "--add-bos". Did you mean "--add_bos"?')
    const decode = [
      '--vocab',
      'v',
      '--sample_file',
      's',
      '--input_file',
      'i',
      '--output_ref_file',
      'r',
      '--output_pred_file',
      'p',
    ]
    await usage('decode', [...decode, '--ref_num', '6'], '--ref_num is for --ref_type webnlg and dart')
    await usage('beam', ['--data', 'x'], 'lowrank paper nlg beam needs --init_checkpoint FILE.')
    const beam = await nlg('beam', '--data', 'x', '--init_checkpoint', 'y', '--lora_alpha', '32')
    expect(beam).toMatchObject({
      code: 1,
      stderr: 'error: --lora_alpha is for LoRA, but --lora_dim is 0, which is a model without\n',
    })
  })
})
