/** @file `lowrank demo`. */
import type { Device } from '../../runtime/runtime.js'
import { defineCommand } from '../flags.js'

export const demoCommand = defineCommand({
  name: 'demo',
  summary: 'Fine-tune the small model that comes with lowrank, before your eyes.',
  description:
    'A language model of 1.5 million parameters, pretrained with lowrank on restaurants, weather, people and towns, learns to turn departure boards into announcements: measured on boards that are not in training before and after, merged, and compared with its merged self. No network, under two minutes on two cores. It ends with 1 unless training clearly helped and the merged model says what base and adapter say.',
  flags: {
    out: {
      type: 'text',
      value: 'DIR',
      default: 'out/demo',
      help: 'Folder for rows, adapter and merged model; a former demo there is replaced.',
    },
  },
  examples: ['lowrank demo', 'lowrank demo --out /tmp/demo'],
  prints:
    'the events of `train`, then `{"before":{"loss":…,"facts":…,"exact":…},"after":{…},"mergedModules":N,"maxAbsLogitDelta":…,"sameTexts":N,"texts":N,"seconds":…,"holds":true}`',
  async run({ out, device, threads, seed }, { output }) {
    const { runDemo } = await import('../demo/run.js')
    const result = await runDemo(output, { out, device: device as Device, threads, seed })
    if (output.json) output.printJson(result)
    return result.holds ? 0 : 1
  },
})
