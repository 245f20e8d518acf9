/** @file What a merge or an export could not write. */
import { someOf } from '../util/some-of.js'
import type { Output } from './flags.js'

/** Warns of modules that an adapter changes and that the written model lacks. */
export function noteNotMerged({ notMerged }: { readonly notMerged?: readonly string[] }, output: Output): void {
  if (notMerged === undefined) return
  output.note(output.color.yellow(`warning: not merged, because the written model has no weights of them: ${someOf(notMerged)}`))
}
