/** @file A real convolutional network built with nn: ResNet-20 before and after a few steps of Conv-LoRA. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { accuracy, pretrained, readImages } from '../bench/resnet/network.js'
import { nodeEnvironment } from '../src/node-environment.js'
import { merge, Predictor, takeRows, trainModule } from '../src/nn/index.js'

const checkpoint = '../shared/models/resnet-cifar10/resnet20-12fca82f.th'
const data = '../shared/data/cifar10-jpeg'

describe.skipIf(!existsSync(checkpoint) || !existsSync(data))('ResNet-20', () => {
  it('is as accurate as its golden case says, and LoRA on its convolutions trains', async () => {
    const environment = nodeEnvironment()
    const golden = JSON.parse(readFileSync('../shared/models/resnet-cifar10/golden.json', 'utf8')) as {
      'resnet20-12fca82f': { acc_1000: number; logits_image0: number[] }
    }
    const { acc_1000, logits_image0 } = golden['resnet20-12fca82f']
    const test = readImages(`${data}/cifar10_jpeg_test_1000.bin`)
    const model = await pretrained(checkpoint, { r: 2, loraAlpha: 4 })
    const predictor = new Predictor(model, environment.runtime)
    const logits = await predictor.run(takeRows(test.input, [0]))
    logits_image0.forEach((value, i) => expect(Number(logits.data[i])).toBeCloseTo(value, 3))
    expect(await accuracy(predictor, test)).toBe(acc_1000)

    const losses: number[] = []
    const train = readImages(`${data}/cifar10_jpeg_train_1000.bin`)
    const few = { input: takeRows(train.input, [...Array(64).keys()]), labels: takeRows(train.labels, [...Array(64).keys()]) }
    const options = { environment, data: few, loss: 'crossEntropy', batchSize: 64, epochs: 8, learningRate: 2e-3 } as const
    for await (const event of trainModule(model, options)) if (event.event === 'step') losses.push(event.loss)
    expect(losses.at(-1)!).toBeLessThan(0.6 * losses[0]!)
    const merged = new Predictor(merge(model), environment.runtime)
    const [a, b] = [await predictor.run(few.input), await merged.run(few.input)]
    a.data.forEach((value: number | bigint, i: number) => expect(Number(value)).toBeCloseTo(Number(b.data[i]), 3))
    await merged.release()
    await predictor.release()
  })
})
