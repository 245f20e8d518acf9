/** @file The outputs of an imported graph as losses and readers want them: the task's first, scores under the name `logits`. */
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import type { TargetModule } from '../graph/target-module.js'
import { productOfDims } from '../graph/shapes.js'
import type { Value } from '../graph/types.js'
import { scoresTokens, type Task } from '../models/task.js'
import { beforeSoftmax } from './read.js'

const LOGITS = 'logits'

/** A value under another name, wherever the graph speaks of it. */
function rename(graph: Graph, { name, dtype, shape }: Value, to: string): Value {
  const named = (value: string): string => (value === name ? to : value)
  graph.values.delete(name)
  const renamed = graph.declare(to, dtype, shape)
  graph.nodes = graph.nodes.map((node) =>
    node.inputs.includes(name) || node.outputs.includes(name)
      ? {
          ...node,
          name: node.outputs.includes(name) ? named(node.name) : node.name,
          inputs: node.inputs.map(named),
          outputs: node.outputs.map(named),
        }
      : node,
  )
  graph.outputs = graph.outputs.map((output) => (output.name === name ? renamed : output))
  for (const [key, module] of graph.modules) {
    const uses = module.moreUses?.map((use) => ({ input: named(use.input), output: named(use.output) }))
    const moved: TargetModule = {
      ...module,
      input: named(module.input),
      output: named(module.output),
      ...(uses && { moreUses: uses }),
    }
    graph.modules.set(key, moved)
  }
  return renamed
}

/**
 * The graph with the task's output first, and what the head of a language model reads: here the scores themselves. Scores
 * are called `logits` there, whatever the file calls them, unless it means something else by that name.
 */
export function withTaskOutput(given: Graph, output: Value, task: Task): { graph: Graph; hidden: Value } {
  const graph = given.clone()
  const b = new GraphBuilder(graph)
  const others = graph.outputs.filter(({ name }) => name !== output.name)
  if (task.name === 'custom') return { graph, hidden: output }
  if (scoresTokens(task)) {
    const isLogits = output.name === LOGITS
    const scores = isLogits ? rename(graph, output, graph.uniqueName(`${LOGITS}/scores`)) : output
    const [, , size] = scores.shape!
    const hidden = b.reshape(scores, [productOfDims(scores.shape!.slice(0, 2)), size!])
    const rows = b.emit('Identity', [hidden])
    const again = b.emit('Reshape', [rows, b.shapeVector(scores.shape!)], {}, { shapes: [scores.shape!], name: LOGITS })
    graph.outputs = [again, ...(isLogits ? [] : [scores]), ...others]
    return { graph, hidden }
  }
  const end = others.find(({ name }) => name === 'end_logits')
  if (task.name === 'question-answering' && output.shape?.length === 2 && end !== undefined) {
    const both = b.concat([b.unsqueeze(output, [2]), b.unsqueeze(end, [2])], 2)
    graph.outputs = [both, output, ...others]
    return { graph, hidden: both }
  }
  if (task.name === 'feature-extraction' && output.shape?.length === 2) {
    // A vector for the whole text is a sequence of one state, whose mean it is.
    const states = b.unsqueeze(output, [1])
    graph.outputs = [states, output, ...others]
    return { graph, hidden: states }
  }
  if (task.name === 'feature-extraction') {
    graph.outputs = [output, ...others]
    return { graph, hidden: output }
  }
  const scores = task.problemType === 'regression' ? output : beforeSoftmax(graph, output)
  const named = graph.values.has(LOGITS) ? [] : [b.emit('Identity', [scores], {}, { name: LOGITS })]
  graph.outputs = [...named, scores, ...(scores === output ? [] : [output]), ...others]
  return { graph, hidden: scores }
}
