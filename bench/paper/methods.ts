/** @file How a model is adapted: what the paper's tables compare. */
import { cp, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Adapter, addLora, fullTrainee, type LoraOptions, type Model, type Trainee } from '../../src/index.js'

/** A row of a table. */
export interface Method {
  readonly name: string
  readonly kind: 'full' | 'bitfit' | 'lora'
  readonly r?: number
  readonly targets?: readonly string[]
  /** Rows of the embedding that are trained too. */
  readonly tokens?: readonly number[]
}

/** α/r is the same for all ranks, so that a rate means the same of each of them. */
const SCALE = 2

export const lora = (r: number, targets: readonly string[], name = `LoRA, r = ${r}`): Method => ({
  name,
  kind: 'lora',
  r,
  targets,
})

/** An adapter's options of a method; all weights are none. */
const loraOptions = ({ kind, r, targets, tokens }: Method, seed: number): LoraOptions =>
  kind === 'bitfit'
    ? { targetModules: 'none', bias: 'all', seed }
    : {
        r: r!,
        loraAlpha: SCALE * r!,
        targetModules: targets![0] === 'all-linear' ? 'all-linear' : [...targets!],
        loraDropout: 0,
        ...(tokens && { trainableTokenIndices: [...tokens] }),
        seed,
      }

/** What is trained, by a method. */
export async function traineeOf(model: Model, method: Method, seed: number): Promise<Adapter | Trainee> {
  return method.kind === 'full' ? fullTrainee(model) : addLora(model, loraOptions(method, seed))
}

/** Saves what was trained, and for a model trained whole what it needs to be opened again. @returns bytes of its weights */
export async function saved(trainee: Adapter | Trainee, base: string, home: string): Promise<number> {
  if (!(trainee instanceof Adapter)) await cp(base, home, { recursive: true, dereference: true })
  await trainee.save(home)
  const weights = (await readdir(home)).filter((name) => name.endsWith('.safetensors'))
  const sizes = await Promise.all(weights.map(async (name) => (await stat(join(home, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}
