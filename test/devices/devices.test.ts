/** Golden cases on WebAssembly, and on WebGPU where a software GPU is installed: losses and gradients as on the CPU. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { DeviceResult } from './golden-device.js'

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

async function run(device: string, cases: readonly string[], env: Record<string, string>): Promise<DeviceResult[]> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', 'test/devices/golden-device.ts', device, ...cases],
    { env: { ...process.env, ...env }, maxBuffer: 2 ** 26 },
  )
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as DeviceResult)
}

function check(results: readonly DeviceResult[], cases: readonly string[]): void {
  expect(results.map(({ name }) => name)).toEqual(cases)
  for (const { name, lossError, gradientError } of results) {
    expect(lossError, `${name}: loss`).toBeLessThan(1e-5)
    expect(gradientError, `${name}: gradient`).toBeLessThan(1e-4)
  }
}

describe('WebAssembly in Node', () => {
  it('gives the losses and gradients of the CPU', async () => {
    const cases = [...peft, ...onnx]
    expect(peft.length).toBeGreaterThanOrEqual(9)
    check(await run('wasm', cases, {}), cases)
  }, 180_000)
})

describe.skipIf(vulkan === undefined)('WebGPU in Node', () => {
  const env = {
    VK_ICD_FILENAMES: join(vulkan ?? '', 'vk_swiftshader_icd.json'),
    LD_LIBRARY_PATH: vulkan ?? '',
    XDG_RUNTIME_DIR: '/tmp',
  }
  it.each([
    ['language models', ['peft/llama', 'peft/gpt2', 'peft/qwen3'], []],
    ['exported transformers', ['onnx/bert-torchscript', 'onnx/vit-dynamo'], []],
    ['convolutions', ['onnx/conv1d-torchscript', 'onnx/conv2d-dynamo', 'onnx/conv3d-torchscript'], ['ConvTranspose']],
  ] as const)(
    'gives the losses and gradients of the CPU: %s',
    async (_, cases, onCpu) => {
      const results = await run('webgpu', cases, env)
      check(results, cases)
      expect([...new Set(results.flatMap(({ report }) => report.onCpu.map(({ op }) => op)))]).toEqual(onCpu)
    },
    240_000,
  )
})
