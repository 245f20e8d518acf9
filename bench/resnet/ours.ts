/** @file Conv-LoRA on ResNet-20: accuracy before and after; writes the start of the LoRA matrices for `with-peft.py`. */
import { accuracy, pretrained, readImages } from './network.js'
import { nodeEnvironment } from '../../src/index.js'
import { loraStateDict, Predictor, saveTensors, trainModule } from '../../src/nn/index.js'

const [formulation = 'peft', start] = process.argv.slice(2)
const environment = nodeEnvironment()
const data = (part: string): ReturnType<typeof readImages> =>
  readImages(`../shared/data/cifar10-jpeg/cifar10_jpeg_${part}_1000.bin`)
const model = await pretrained('../shared/models/resnet-cifar10/resnet20-12fca82f.th', {
  r: 4,
  loraAlpha: 8,
  formulation: formulation as 'peft' | 'loralib',
})
if (start !== undefined) await saveTensors(environment.files, start, loraStateDict(model))
const predictor = new Predictor(model, environment.runtime)
const test = data('test')
console.log(JSON.stringify({ formulation, before: await accuracy(predictor, test) }))
const epochLosses: number[] = []
const options = { environment, data: data('train'), loss: 'crossEntropy', batchSize: 50, epochs: 5, learningRate: 1e-3, shuffle: false } as const // prettier-ignore
for await (const event of trainModule(model, options)) {
  if (event.event === 'step' && event.step % 20 === 0) epochLosses.push(event.loss)
  if (event.event === 'done')
    console.log(
      JSON.stringify({ formulation, after: await accuracy(predictor, test), lastLosses: epochLosses, seconds: event.seconds }),
    )
}
