/** @file Writes docs/architectures.md, the table of model families, from their declarations. */
import { architectures, tasksOf } from '../src/models/registry.js'

const code = (words: readonly string[]): string => words.map((word) => `\`${word}\``).join(', ')

/** The Markdown of docs/architectures.md. */
export function architecturesDocument(): string {
  const rows = architectures.map((architecture) => [
    code(architecture.modelTypes),
    code([...new Set(architecture.classPrefixes)]),
    tasksOf(architecture).join(', '),
    code(architecture.defaultTargetModules),
  ])
  return `# Architectures

<!-- Made from src/models by \`npm run docs\`; do not edit. -->

A model folder is built by the \`model_type\` of its config.json; a \`.onnx\` file has [none](onnx.md). A type that is not listed is
refused by name. Of each family there are golden cases: logits, losses and gradients of transformers and PEFT, in \`test/models\`.

- **Classes** are transformers', but for the task at their end (\`LlamaForCausalLM\`).
- **Tasks**: the usual one first; [heads](heads.md) for the others are made where a folder lacks them.
- **Default targets** are PEFT's; \`--target-modules all-linear\` adapts every layer but the head.

| model_type | classes | tasks | default targets |
| --- | --- | --- | --- |
${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}

To add one: [architecture](architecture.md#where-things-go).
`
}
