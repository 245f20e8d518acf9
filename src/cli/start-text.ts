/** @file The line that says what a new adapter begins with. */
import type { AdapterStart } from '../index.js'

/** What of a new adapter another one has given. */
export function startText(path: string, { taken, fresh }: AdapterStart): string {
  const modules = [...new Set(fresh.map((name) => name.replace(/^base_model\.model\.|\.(weight|bias)$/g, '')))]
  return `begins as ${path}: ${taken.length} tensors${modules.length === 0 ? '' : `; fresh: ${modules.join(', ')}`}`
}
