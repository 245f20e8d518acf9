/** @file Writes one adapter in every format for check-formats.py: `npx tsx test/oracle/write-formats.ts DIR`. */
import { join } from 'node:path'
import { PREFIX } from '../../src/adapters/lora.js'
import { configFor, type AdapterFile } from '../../src/formats/adapter-file.js'
import { chooseAdapterFormat } from '../../src/formats/adapter-formats.js'
import { float32 } from '../../src/graph/constants.js'
import { elementCount, type HostTensor } from '../../src/graph/types.js'
import { nodeFiles } from '../../src/io/node-files.js'
import { Random } from '../../src/util/rng.js'

/** The targets and where each is written. */
export const formatTargets = {
  peft: 'peft',
  'peft-bin': 'peft-bin',
  loralib: 'adapter.pt',
  'onnx-adapter': 'adapter.onnx_adapter',
  mlx: 'mlx',
} as const

/** An adapter for a Llama of two layers, hidden size 8. */
export function formatAdapter(): AdapterFile {
  const random = new Random(11)
  const matrix = (...shape: number[]): HostTensor =>
    float32(
      shape,
      Float32Array.from({ length: elementCount(shape) }, () => random.normal()),
    )
  const layers = [0, 1].map((i) => ({ module: `model.layers.${i}.self_attn.q_proj`, r: 2, alpha: 8 }))
  return {
    config: configFor(layers, { taskType: 'CAUSAL_LM' }),
    tensors: new Map(
      layers.flatMap(({ module, r }) => [
        [`${PREFIX}${module}.lora_A.weight`, matrix(r, 8)],
        [`${PREFIX}${module}.lora_B.weight`, matrix(8, r)],
      ]),
    ),
    notes: [],
  }
}

export async function writeFormats(folder: string): Promise<void> {
  const files = nodeFiles()
  for (const [format, name] of Object.entries(formatTargets))
    await chooseAdapterFormat(name, format).write(files, join(folder, name), formatAdapter(), {})
}

if (process.argv[1]?.endsWith('write-formats.ts') === true) await writeFormats(process.argv[2]!)
