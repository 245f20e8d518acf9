/**
 * @file Golden cases on WebAssembly, and some of them on WebGPU where a software GPU is installed: losses, gradients and
 * generated tokens as on the CPU; models trained, served and merged there. LOWRANK_ALL_DEVICES=1 runs all of them on WebGPU too, which takes minutes.
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import type { GenerateResult } from './generate-device.js'
import type { DeviceResult } from './golden-device.js'
import type { UseResult } from './use-device.js'

/** Chromium's folder, which holds SwiftShader (a Vulkan GPU in software) and Vulkan's loader. */
const vulkan = ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome'].find((folder) =>
  ['vk_swiftshader_icd.json', 'libvulkan.so.1'].every((file) => existsSync(join(folder, file))),
)

const fixtures = 'test/fixtures/golden'
const isLanguageModel = (name: string): boolean => {
  const config = JSON.parse(readFileSync(join(fixtures, 'peft', name, 'model/config.json'), 'utf8')) as {
    architectures: string[]
  }
  return config.architectures.some((architecture) => /CausalLM|LMHead/.test(architecture))
}
const peft = readdirSync(join(fixtures, 'peft')).filter(isLanguageModel).map((name) => `peft/${name}`) // prettier-ignore
const onnx = readdirSync(join(fixtures, 'onnx')).map((name) => `onnx/${name}`)
/** LSTM and GRU, over lengths that the run alone knows. */
const recurrent = ['cnn-lstm-torchscript', 'gru-classifier-dynamo'].map((name) => `recurrent/${name}`)

/** Runs a script of this folder in a process of its own. @returns the objects that it prints */
async function run<T>(script: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<T[]> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', `test/devices/${script}.ts`, ...args], {
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 26,
  })
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as T)
}

function check(results: readonly DeviceResult[], cases: readonly string[]): void {
  expect(results.map(({ name }) => name)).toEqual(cases)
  for (const { name, lossError, gradientError } of results) {
    expect(lossError, `${name}: loss`).toBeLessThan(1e-5)
    expect(gradientError, `${name}: gradient`).toBeLessThan(1e-4)
  }
}

function checkTokens(results: readonly GenerateResult[], names: readonly string[]): void {
  expect(results.map(({ name }) => name)).toEqual(names)
  for (const { name, cpu, device } of results) expect(device, name).toEqual(cpu)
}

/** Operators that a device leaves to the CPU. */
const onCpu = (results: readonly DeviceResult[]): string[] => [
  ...new Set(results.flatMap(({ report }) => report.onCpu.map(({ op }) => op))),
]

describe('WebAssembly in Node', () => {
  it('gives the losses and gradients of the CPU', async () => {
    const cases = [...peft, ...onnx, ...recurrent]
    expect([peft.length >= 9, onnx.length >= 20]).toEqual([true, true])
    check(await run('golden-device', ['wasm', ...cases]), cases)
  }, 180_000)

  it('generates the tokens of the CPU', async () => {
    checkTokens(await run('generate-device', ['wasm', 'llama', 'gpt2', 'gemma2']), ['llama', 'gpt2', 'gemma2'])
  }, 120_000)
})

const webgpu = vulkan === undefined ? 'WebGPU in Node (no SwiftShader installed)' : 'WebGPU in Node'
describe.skipIf(vulkan === undefined)(webgpu, () => {
  const env = {
    VK_ICD_FILENAMES: join(vulkan ?? '', 'vk_swiftshader_icd.json'),
    LD_LIBRARY_PATH: vulkan ?? '',
    XDG_RUNTIME_DIR: '/tmp',
  }

  it('gives the losses and gradients of the CPU: a language model, an exported transformer, convolutions', async () => {
    const cases = ['peft/llama', 'onnx/bert-torchscript', 'onnx/conv3d-torchscript']
    const results = await run<DeviceResult>('golden-device', ['webgpu', ...cases], env)
    check(results, cases)
    expect(onCpu(results.slice(0, 2))).toEqual([])
    expect(onCpu(results)).toEqual(['ConvTranspose'])
  }, 240_000)

  it('leaves recurrences that it lacks to the CPU, and nothing else of their networks', async () => {
    const results = await run<DeviceResult>('golden-device', ['webgpu', ...recurrent], env)
    check(results, recurrent)
    expect(onCpu(results)).toEqual(['LSTM', 'GRU'])
  }, 240_000)

  it('generates the tokens of the CPU', async () => {
    // The demo's base is in float16, which SwiftShader's shaders do not know.
    checkTokens(await run('generate-device', ['webgpu', 'llama', 'demo/base'], env), ['llama', 'demo/base'])
  }, 240_000)

  describe('a model in use', () => {
    const names = ['llama+int4', 'gpt2+float16', 'llama+bfloat16']
    let results: readonly UseResult[] = []
    // In one process: shaders stay compiled while a session is open, and in software compiling takes most of the time.
    beforeAll(async () => {
      results = await run<UseResult>('use-device', ['webgpu', ...names], env)
      expect(results.map(({ name }) => name)).toEqual(names)
    }, 240_000)

    it('is trained, served and merged on a base in 4 bits, all of it on the GPU', () => {
      const [result] = results
      expect(result!.warnings).toEqual([])
      // The CPU's product rounds activations to 8 bits, the GPU's in blocks of its own, if at all.
      expect(result!.lossError).toBeLessThan(1e-3)
      for (const error of [result!.logitsError, result!.mixedError, result!.mergedError]) expect(error).toBeLessThan(1e-4)
    })

    it('is trained, served and merged with weights in 16 bits as on the CPU', () => {
      for (const { name, lossError, logitsError, mixedError, mergedError, tokens, warnings } of results.slice(1)) {
        expect(warnings).toEqual([])
        for (const error of [lossError, logitsError, mixedError]) expect(error).toBeLessThan(1e-5)
        // The merged weights are rounded to the type.
        expect(mergedError).toBeLessThan(name.endsWith('+float16') ? 1e-3 : 1e-2)
        expect(tokens.device).toEqual(tokens.cpu)
      }
    })
  })

  it.runIf(process.env['LOWRANK_ALL_DEVICES'] === '1')(
    'gives the losses and gradients of the CPU: all',
    async () => {
      const cases = [...peft, ...onnx]
      const results = await run<DeviceResult>('golden-device', ['webgpu', ...cases], env)
      check(results, cases)
      expect(onCpu(results)).toEqual(['ConvTranspose'])
    },
    1_800_000,
  )
})
