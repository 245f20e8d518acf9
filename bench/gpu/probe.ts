/** @file Whether a device works at all: generates one token on it, and prints what its shaders know; `probe.ts DEVICE`. */
import { generate, loadModel, type Device } from '../../src/index.js'
import { webgpuKnowsFloat16 } from '../inner.js'

const model = await loadModel('demo/base', { device: process.argv[2] as Device })
await generate(model, { prompt: 'name', maxNewTokens: 1 })
const float16 = model.environment.runtime.device === 'webgpu' && (await webgpuKnowsFloat16())
process.stdout.write(`${JSON.stringify({ float16 })}\n`)
process.exit(0)
