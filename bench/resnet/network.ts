/** @file ResNet-20 (He et al., 2016) with LoRA on its convolutions: pretrained on CIFAR-10, adapted to other images. */
import { readFileSync } from 'node:fs'
import { readTorchTensors } from '../../src/formats/index.js'
import { float32, int64, type HostTensor, type Value } from '../../src/graph/index.js'
import { nodeEnvironment } from '../../src/index.js'
import {
  BatchNorm2d,
  Conv2d,
  Linear,
  loadStateDict,
  markOnlyLoraAsTrainable,
  Module,
  type ConvOptions,
  type ForwardBuilder,
  type ModuleBatch,
  type Predictor,
} from '../../src/nn/index.js'

type Lora = Pick<ConvOptions, 'r' | 'loraAlpha' | 'formulation'>

class Block extends Module {
  readonly conv1: Conv2d
  readonly bn1: BatchNorm2d
  readonly conv2: Conv2d
  readonly bn2: BatchNorm2d

  constructor(
    readonly from: number,
    readonly to: number,
    lora: Lora,
  ) {
    super()
    const options = { ...lora, padding: 1, bias: false }
    this.conv1 = new Conv2d(from, to, 3, { ...options, stride: from === to ? 1 : 2 })
    this.bn1 = new BatchNorm2d(to)
    this.conv2 = new Conv2d(to, to, 3, options)
    this.bn2 = new BatchNorm2d(to)
  }

  override forward(b: ForwardBuilder, x: Value): Value {
    const hidden = b.relu(this.bn1.forward(b, this.conv1.forward(b, x)))
    return b.relu(b.add(this.shortcut(b, x), this.bn2.forward(b, this.conv2.forward(b, hidden))))
  }

  /** Option A of the paper: every second pixel, new channels of zeros on both sides. */
  private shortcut(b: ForwardBuilder, x: Value): Value {
    if (this.from === this.to) return x
    const range = (numbers: [number, number]): Value => b.int64s(numbers)
    const half = b.emit('Slice', [x, range([0, 0]), b.int64s([32, 32]), b.int64s([2, 3]), b.int64s([2, 2])])
    const side = (this.to - this.from) / 2
    return b.emit('Pad', [half, b.int64s([0, side, 0, 0, 0, side, 0, 0])])
  }
}

/** Images [batch, 3, 32, 32] to logits [batch, 10]. */
export class ResNet20 extends Module {
  readonly conv1: Conv2d
  readonly bn1 = new BatchNorm2d(16)
  readonly layer1: readonly Block[]
  readonly layer2: readonly Block[]
  readonly layer3: readonly Block[]
  readonly linear = new Linear(64, 10)

  constructor(lora: Lora = {}) {
    super()
    this.conv1 = new Conv2d(3, 16, 3, { ...lora, padding: 1, bias: false })
    const stage = (from: number, to: number): Block[] => [0, 1, 2].map((i) => new Block(i === 0 ? from : to, to, lora))
    this.layer1 = stage(16, 16)
    this.layer2 = stage(16, 32)
    this.layer3 = stage(32, 64)
  }

  override forward(b: ForwardBuilder, x: Value): Value {
    let hidden = b.relu(this.bn1.forward(b, this.conv1.forward(b, x)))
    for (const block of [...this.layer1, ...this.layer2, ...this.layer3]) hidden = block.forward(b, hidden)
    return this.linear.forward(b, b.reduceMean(hidden, [2, 3], false))
  }
}

/** The pretrained network; only LoRA matrices are trainable, the statistics stay those of the pretraining. */
export async function pretrained(path: string, lora: Lora = {}): Promise<ResNet20> {
  const { loaded } = await readTorchTensors(nodeEnvironment().files, path)
  const model = new ResNet20(lora)
  const { missingKeys, unexpectedKeys } = loadStateDict(model, loaded, { strict: false })
  const wrong = [...missingKeys.filter((key) => !key.includes('lora_')), ...unexpectedKeys]
  if (wrong.length > 0) throw new Error(`${path} is no ResNet-20 of akamaster/pytorch_resnet_cifar10: ${wrong.join(', ')}`)
  markOnlyLoraAsTrainable(model)
  return model.eval()
}

const MEAN = [0.485, 0.456, 0.406]
const DEVIATION = [0.229, 0.224, 0.225]

/** Records of a label byte and 3·32·32 pixel bytes, normalised. */
export function readImages(path: string): { input: HostTensor; labels: HostTensor } {
  const bytes = readFileSync(path)
  const count = bytes.length / 3073
  const pixels = new Float32Array(count * 3072)
  const labels = Array.from({ length: count }, (_, i) => bytes[i * 3073]!)
  for (let i = 0; i < pixels.length; i++) {
    const channel = Math.floor((i % 3072) / 1024)
    pixels[i] = (bytes[Math.floor(i / 3072) * 3073 + 1 + (i % 3072)]! / 255 - MEAN[channel]!) / DEVIATION[channel]!
  }
  return { input: float32([count, 3, 32, 32], pixels), labels: int64([count], labels) }
}

/** Share of the images whose largest logit is the label's. */
export async function accuracy(predictor: Predictor, { input, labels }: ModuleBatch): Promise<number> {
  const { data } = await predictor.run(input)
  const right = [...labels.data].filter((label, i) => {
    const row = [...data.subarray(10 * i, 10 * i + 10)].map(Number)
    return row.indexOf(Math.max(...row)) === Number(label)
  })
  return right.length / labels.data.length
}
