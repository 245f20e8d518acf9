/** @file What strangers wrote, on its way to a terminal; and messages of the library in the words of the command line. */
import { describe, expect, it } from 'vitest'
import { InvalidModelError, printable } from '../errors.js'
import { runCli } from './app.js'
import { trainFlags } from './commands/train-flags.js'
import { inFlags } from './flag-names.js'
import { terminal, type Stream } from './terminal.js'

const evil = 'q\u001b[2J\u001b]0;title\u0007\u009b31m\r\u202eproj\u2028'
const harmless = 'q\\u001b[2J\\u001b]0;title\\u0007\\u009b31m\\u000d\\u202eproj\\u2028'

/** A stream that keeps what is written. */
class Kept implements Stream {
  text = ''
  constructor(readonly isTTY = false) {}
  write(text: string): void {
    this.text += text
  }
}

describe('control characters', () => {
  it('stand as codes in every error; line breaks, tabs and letters of any writing stay', () => {
    expect(new InvalidModelError(`tensor "${evil}"`).message).toBe(`tensor "${harmless}"`)
    const plain = 'a\n\tb é नमस्ते क\u094d\u200dष 👩\u200d👩 ö'
    expect(printable(plain)).toBe(plain)
  })

  it('are not printed, but for our own colours', () => {
    const [out, err] = [new Kept(true), new Kept(true)]
    const output = terminal(out, err, { FORCE_COLOR: '1' }, false)
    output.print(`${output.color.green('merged')} ${evil}`)
    output.note(output.color.yellow(evil))
    output.write(evil)
    expect(out.text).toBe(`\u001b[32mmerged\u001b[39m ${harmless}\n${harmless}`)
    expect(err.text).toBe(`\u001b[33m${harmless}\u001b[39m\n`)
    const piped = new Kept()
    terminal(piped, new Kept(), {}, false).write(evil)
    expect(piped.text).toBe(evil)
  })

  it('of arguments neither', async () => {
    const stderr = new Kept()
    const surroundings = { stdout: new Kept(), stderr, env: {}, version: '0', interrupted: new AbortController().signal }
    expect(await runCli([evil], surroundings)).toBe(2)
    expect(stderr.text).toContain(`unknown command "${harmless}"`)
  })
})

describe('options in messages', () => {
  const train = { flags: trainFlags }
  it.each([
    ['"targetModules" names "x"', '--target-modules names "x"'],
    ['set maxLength (--max-length) to at most 8', 'set --max-length to at most 8'],
    ['LoRA option "loraAlpha" must be a number', 'LoRA option --alpha must be a number'],
    ['choose one as component (--component unet)', 'choose one as component'],
    ['is for embedding models (feature-extraction)', 'is for embedding models (feature-extraction)'],
    ['"LlamaForCausalLM" and maxPositions', '"LlamaForCausalLM" and maxPositions'],
  ])('%s', (message, told) => {
    expect(inFlags(message, train)).toBe(told)
  })
})
