/** @file A small chat model, of random weights with real shapes, under whichever chat template a test gives it. */
import { cpSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const source = resolve(import.meta.dirname, '../fixtures/chat/model')

export const CHATML =
  '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}' +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'

/** Writes the model (Qwen2, eos `<|endoftext|>`, `<|im_end|>` a special token) with a template into a folder. */
export function writeChatModel(folder: string, template: string = CHATML): string {
  cpSync(source, folder, { recursive: true })
  writeFileSync(join(folder, 'chat_template.jinja'), template)
  return folder
}
