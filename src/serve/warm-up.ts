/** @file What is compiled at first use, compiled before. */
import { embed, FolderModel, predict, type AdapterSet, type Model } from '../public.js'
import type { Service } from './service.js'

/** One short answer of the base model, and one of an adapter, whose graphs differ. */
export async function warmUp(service: Service): Promise<void> {
  const { engine, model } = service
  const [first] = engine.adapters.list()
  const adapter = first === undefined ? [] : [[{ name: first.name, scale: 1 }]]
  if (model.task.name === 'causal-lm') {
    for (const adapters of [[], ...adapter]) {
      // Two tokens, so that one is read alone, as the prompt is not.
      const text = engine.start({ prompt: [0], adapters, options: { maxNewTokens: 2, ignoreEos: true } })
      for await (const _ of text);
    }
    return
  }
  // A head that was made anew says nothing: its answers come with adapters.
  const isFresh = model instanceof FolderModel && model.head !== undefined && model.head.fresh.size > 0
  for (const adapters of [...(isFresh ? [] : [[]]), ...adapter]) await engine.adapters.use(adapters, ask)
}

async function ask(subject: Model | AdapterSet): Promise<unknown> {
  const { name: task } = ('task' in subject ? subject : subject.model).task
  if (task === 'feature-extraction') return embed(subject, ['a'])
  if (task === 'sequence-classification' || task === 'token-classification') return predict(subject, ['a'])
  return task === 'question-answering' ? predict(subject, [{ question: 'a', context: 'b' }]) : undefined
}
