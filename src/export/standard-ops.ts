/** @file The runtime's own operators in standard ones, for models that any ONNX runtime shall read. */
import { UnsupportedOpError } from '../errors.js'
import { operatorKey } from '../graph/allowed-ops.js'
import type { Graph } from '../graph/graph.js'
import { inTable, rewrite, type RewriteContext, type RewriteTable } from '../graph/rewrite.js'
import { ints, type Value } from '../graph/types.js'

/** The last two axes exchanged. */
const transposed = ({ b }: RewriteContext, x: Value): Value => {
  const rank = x.shape!.length
  return b.emit('Transpose', [x], { perm: ints([...Array(rank - 2).keys(), rank - 1, rank - 2]) })
}

/** alpha·op(a)·op(c): one Gemm for matrices; of batches the first operand is scaled, the queries of attention. */
function fusedMatMul(context: RewriteContext): Value {
  const { b, node, inputs, number } = context
  const [a, c] = inputs as [Value, Value]
  const flag = (name: string): boolean => number(name, 0) !== 0
  if (flag('transBatchA') || flag('transBatchB'))
    throw new UnsupportedOpError(
      `node "${node.name}": FusedMatMul with transposed batches has no form in standard operators; export the model without it`,
    )
  const [transA, transB] = [flag('transA'), flag('transB')]
  const alpha = number('alpha', 1)
  if (a.shape?.length === 2 && c.shape?.length === 2) return b.gemm(a, c, { transA, transB, alpha })
  const left = transA ? transposed(context, a) : a
  return b.matmul(alpha === 1 ? left : b.mul(left, alpha), transB ? transposed(context, c) : c)
}

/** x / √(mean x² + ε)·w, in the form that runtimes know to fuse again. */
function rmsNormalization({ b, number, inputs: [x, w] }: RewriteContext): Value {
  const variance = b.add(b.reduceMean(b.pow(x!, 2), [-1]), number('epsilon', 1e-5))
  return b.mul(b.div(x!, b.sqrt(variance)), w!)
}

/** The halves u and w of the rotated features become u·cos − w·sin and w·cos + u·sin. */
function rotaryEmbedding({ b, inputs, shared }: RewriteContext): Value {
  const [x, rows, cosines, sines] = inputs as [Value, Value, Value, Value]
  const half = cosines.shape![1] as number
  const width = x.shape![3] as number
  const angle = (table: Value): Value => shared(`${table.name} ${rows.name}`, () => b.unsqueeze(b.gather(table, rows), [1]))
  const [cos, sin] = [angle(cosines), angle(sines)]
  const rest = width - 2 * half
  const [u, w, ...unturned] = b.split(x, rest > 0 ? [half, half, rest] : [half, half], 3) as [Value, Value, ...Value[]]
  return b.concat([b.sub(b.mul(u, cos), b.mul(w, sin)), b.add(b.mul(w, cos), b.mul(u, sin)), ...unturned], 3)
}

const lowerings: RewriteTable = {
  'com.microsoft.FusedMatMul': fusedMatMul,
  SimplifiedLayerNormalization: rmsNormalization,
  'com.microsoft.RotaryEmbedding': rotaryEmbedding,
  'com.microsoft.QuickGelu': ({ b, number, inputs: [x] }) => {
    const alpha = number('alpha', 1.702)
    return b.mul(x!, b.sigmoid(alpha === 1 ? x! : b.mul(x!, alpha)))
  },
  'com.microsoft.FastGelu': ({ b, inputs: [x, bias] }) => b.gelu(bias === undefined ? x! : b.add(x!, bias), 'tanh'),
}

/**
 * The same computation in operators of the ONNX standard alone (`SimplifiedLayerNormalization` looks like one and is not).
 * Inputs and outputs keep their names.
 * @throws UnsupportedOpError naming all operators of the runtime that have no such form
 */
export function standardOps(graph: Graph): Graph {
  const rewritten = rewrite(graph, 'standard', inTable(lowerings))
  const keys = rewritten.nodes.map(({ op, domain }) => operatorKey(op, domain))
  const unknown = new Set(keys.filter((key) => key.includes('.')))
  if (unknown.size > 0)
    throw new UnsupportedOpError(
      `graph "${graph.name}" holds operators that only ONNX Runtime has and that have no form in standard ones: ${[...unknown].join(', ')}; ` +
        'export the model before it is quantised',
    )
  const result = rewritten === graph ? graph.clone() : rewritten
  result.opsets.delete('com.microsoft')
  return result
}
