/** @file Golden cases and uses of models on a GPU beside the CPU: the programs of `test/devices`, several at once, and their bounds. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { DeviceResult } from '../../test/devices/golden-device.js'
import type { UseResult } from '../../test/devices/use-device.js'
import { runScript, type ScriptOptions } from './script.js'

/** What a GPU is held to. The first two are the bounds of `test/devices/devices.test.ts`. */
const bounds = {
  loss: 1e-5,
  gradient: 1e-4,
  /** The worst of twenty steps. */
  steps: 1e-3,
  logits: 1e-4,
}

/** Weights that were merged and stored in 16 bits are rounded to them. */
const mergedBounds: Readonly<Record<string, number>> = { float16: 1e-3, bfloat16: 1e-2 }

export interface ParityRow {
  readonly name: string
  /** Relative errors by what was compared. */
  readonly errors: Readonly<Record<string, number>>
  /** What is beyond its bound. */
  readonly faults: readonly string[]
  /** Told by the run: what was left to the CPU. */
  readonly notes: readonly string[]
}

const self = fileURLToPath(import.meta.url)
const devices = join(dirname(self), '../../test/devices')

/** Runs a program of `test/devices`. @returns the objects that it printed before it ended, and what it said if it failed */
async function run<T>(
  script: string,
  args: readonly string[],
  options: ScriptOptions,
): Promise<{ readonly results: T[]; readonly problem: string | undefined }> {
  const { output, problem } = await runScript([...process.execArgv, join(devices, script + extname(self)), ...args], options)
  const lines = output.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
  return { results: lines.map((line) => JSON.parse(line) as T), problem }
}

const beyond = (errors: Readonly<Record<string, number>>, limits: Readonly<Record<string, number>>): string[] =>
  Object.entries(errors).flatMap(([key, error]) =>
    error < limits[key]! ? [] : [`${key}: ${error.toExponential(1)}, bound ${limits[key]}`],
  )

const noted = (onCpu: DeviceResult['report']['onCpu']): string[] =>
  onCpu.map(({ op, dtype, nodes }) => `${nodes.length} ${op} of ${dtype} on the CPU`)

function goldenRow({ name, lossError, gradientError, report }: DeviceResult): ParityRow {
  const errors = { loss: lossError, gradient: gradientError }
  return { name, errors, faults: beyond(errors, bounds), notes: noted(report.onCpu) }
}

function useRow(prefix: string, result: UseResult): ParityRow {
  const { name, lossError, logitsError, mixedError, mergedError, tokens, warnings } = result
  const errors = { steps: lossError, logits: logitsError, mixed: mixedError, merged: mergedError }
  const stored = name.split('+').find((modifier) => modifier in mergedBounds)
  const limits = { ...bounds, mixed: bounds.logits, merged: stored === undefined ? bounds.logits : mergedBounds[stored]! }
  // Kernels on 8- and 4-bit weights round activations each in their own way, so that a text may turn elsewhere.
  const same = /\+int[48]$/.test(name) || JSON.stringify(tokens.device) === JSON.stringify(tokens.cpu)
  return {
    name: prefix + name,
    errors,
    faults: [
      ...beyond(errors, limits),
      ...(same ? [] : [`tokens: ${tokens.device.join(' ')}; the CPU's ${tokens.cpu.join(' ')}`]),
    ],
    notes: warnings,
  }
}

/** A program that ended early is a fault of the cases that it did not come to. */
function missing(cases: readonly string[], rows: readonly ParityRow[], prefix: string, problem: string | undefined): ParityRow[] {
  const left = cases.filter((name) => !rows.some((row) => row.name === prefix + name))
  return left.map((name, i) => ({
    name: prefix + name,
    errors: {},
    faults: [i === 0 ? (problem ?? 'no result') : 'not reached'],
    notes: [],
  }))
}

const fixtures = 'test/fixtures/golden'
const isLanguageModel = (name: string): boolean =>
  /CausalLM|LMHead/.test(readFileSync(join(fixtures, 'peft', name, 'model/config.json'), 'utf8'))

/** Golden cases, and models as they are used: how they are stored, how their base is held. */
function parityCases(short: boolean): { golden: string[]; uses: string[]; withoutFloat16: string[] } {
  if (short) return { golden: ['peft/llama', 'onnx/conv2d-torchscript'], uses: ['llama+int4'], withoutFloat16: ['llama+float16'] }
  const peft = readdirSync(join(fixtures, 'peft')).filter(isLanguageModel)
  const onnx = readdirSync(join(fixtures, 'onnx'))
  const families = peft.filter((name) => !name.includes('-'))
  return {
    golden: [
      ...peft.map((name) => `peft/${name}`),
      ...onnx.map((name) => `onnx/${name}`),
      ...['recurrent/cnn-lstm-torchscript', 'recurrent/gru-classifier-dynamo'],
    ],
    uses: [
      ...families,
      ...['llama', 'gpt2', 'gemma2', 'qwen2'].flatMap((name) => [`${name}+float16`, `${name}+bfloat16`]),
      ...['llama', 'gpt2', 'qwen2'].flatMap((name) => [`${name}+int8`, `${name}+int4`]),
      'demo/base',
    ],
    withoutFloat16: ['llama', 'gpt2', 'gemma2', 'qwen2'].map((name) => `${name}+float16`).concat('demo/base', 'llama+int4'),
  }
}

/** @param seconds after which what still runs is ended */
export async function parity(device: string, short: boolean, seconds: number): Promise<ParityRow[]> {
  const { golden, uses, withoutFloat16 } = parityCases(short)
  const prefix = 'shaders without float16: '
  const goldenPart = async (cases: string[]): Promise<ParityRow[]> => {
    const { results, problem } = await run<DeviceResult>('golden-device', [device, ...cases], { seconds })
    const rows = results.map(goldenRow)
    return [...rows, ...missing(cases, rows, '', problem)]
  }
  const usePart = async (cases: string[], without: boolean): Promise<ParityRow[]> => {
    const env: Record<string, string> = without ? { LOWRANK_TEST_WITHOUT_FLOAT16: '1' } : {}
    const before = without ? prefix : ''
    const { results, problem } = await run<UseResult>('use-device', [device, ...cases], { seconds, env })
    const rows = results.map((result) => useRow(before, result))
    return [...rows, ...missing(cases, rows, before, problem)]
  }
  const half = Math.ceil(golden.length / 2)
  const middle = Math.ceil(uses.length / 2)
  const parts = await Promise.all([
    goldenPart(golden.slice(0, half)),
    goldenPart(golden.slice(half)),
    usePart(uses.slice(0, middle), false),
    usePart(uses.slice(middle), false),
    usePart(withoutFloat16, true),
  ])
  return parts.flat()
}
