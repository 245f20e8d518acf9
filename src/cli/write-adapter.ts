/** @file Writing an adapter that a command makes to `--out`. */
import type { Adapter, Model } from '../index.js'

export const overwriteFlag = {
  type: 'switch',
  help: 'Write into --out although it holds an adapter, which is replaced, checkpoints or a model. Never into the base model.',
} as const

/** Makes an adapter and writes it; what must not be lost is refused before it is made, which may take long. */
export async function writeAdapter<T>(
  base: Model,
  { out, overwrite }: { readonly out: string; readonly overwrite: boolean },
  make: () => Promise<T>,
  adapterOf: (made: T) => Adapter,
): Promise<T> {
  const { whileInFolder } = await import('../model/output-place.js')
  return whileInFolder(base.environment.files, { out, overwrite, base }, async (clear) => {
    const made = await make()
    await clear()
    await adapterOf(made).save(out)
    return made
  })
}
