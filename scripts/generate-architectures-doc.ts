/** @file Writes docs/architectures.md, the table of model families, from their declarations. */
import { architectures, tasksOf } from '../src/models/registry.js'
import { goldenFamilies } from './golden-families.js'

const code = (words: readonly string[]): string => words.map((word) => `\`${word}\``).join(', ')

/** What is compared of a family, which several types may share. @throws Error for one of which nothing is */
function goldenOf(modelTypes: readonly string[]): string {
  const { logits, gradients } = goldenFamilies()
  const has = (of: ReadonlySet<string>): boolean => modelTypes.some((type) => of.has(type))
  const compared = [...(has(logits) ? ['logits'] : []), ...(has(gradients) ? ['losses, gradients'] : [])]
  if (compared.length === 0) throw new Error(`no fixture compares ${modelTypes.join(', ')} with transformers`)
  return compared.join(', ')
}

/** The Markdown of docs/architectures.md. */
export function architecturesDocument(): string {
  const rows = architectures.map((architecture) => [
    code(architecture.modelTypes),
    code([...new Set(architecture.classPrefixes)]),
    tasksOf(architecture).join(', '),
    code(architecture.defaultTargetModules),
    goldenOf(architecture.modelTypes),
  ])
  return `# Architectures

<!-- Made from src/models by \`npm run docs\`; do not edit. -->

A model folder is built by the \`model_type\` of its config.json; a \`.onnx\` file has [none](onnx.md). A type that is not listed is
refused by name.

- **Classes** are transformers', but for the task at their end (\`LlamaForCausalLM\`).
- **Tasks**: the usual one first; [heads](heads.md) for the others are made where a folder lacks them.
- **Default targets** are PEFT's; \`--target-modules all-linear\` adapts every layer but the head.
- **Compared** with transformers are the logits, with PEFT the losses and gradients of an adapter, in \`test\`.

| model_type | classes | tasks | default targets | compared |
| --- | --- | --- | --- | --- |
${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}

To add one: [architecture](architecture.md#where-things-go).
`
}
