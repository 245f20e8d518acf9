/**
 * @file Beginnings of prompts that were read: what several have in common (a system prompt, the turns of a dialogue so far) is read once.
 *
 * Keys and values lie in blocks of tokens, each behind the block before it, as in vLLM's automatic prefix caching (Kwon et al., 2023):
 * texts that begin alike share the blocks of their beginning.
 */
import type { BatchCache } from './batch-cache.js'

/** Tokens of a block. */
const BLOCK = 16

/** Tokens that two texts begin with, as far as they can be shared: whole blocks, and not the last token of the second. */
export function sharedTokens(ids: readonly number[], later: readonly number[]): number {
  const most = Math.min(ids.length, later.length - 1)
  let same = 0
  while (same < most && ids[same] === later[same]) same++
  return BLOCK * Math.floor(same / BLOCK)
}

interface Block {
  /** Those that follow it, by their tokens. */
  readonly next: Map<string, Block>
  readonly leave: () => void
  readonly data: Float32Array
}

/** The blocks of texts that the same adapters wrote. */
type Root = Pick<Block, 'next'>

/** @typeParam Owner by which it is known whether what was kept still holds */
export class PrefixCache<Owner> {
  private readonly roots = new Map<string, Root & { readonly owner: Owner }>()
  /**
   * The block that was used longest ago first. A use counts for the last block of a text before the first: none goes before those behind it.
   */
  private readonly byUse = new Set<Block>()
  private held = 0

  /** @param bytes that are kept at most */
  constructor(private readonly most: number) {}

  /** Bytes that are kept. */
  get bytes(): number {
    return this.held
  }

  /**
   * Fills an empty cache of one row with the longest beginning of a text that is known; the last token of the text is never among it,
   * for what follows it is to be found.
   * @param key of the adapters that read it
   * @returns how many tokens
   */
  fill(key: string, ids: readonly number[], cache: BatchCache): number {
    const found = this.find(key, ids.slice(0, -1))
    for (const { data } of found) cache.appendSlots(data, BLOCK)
    this.use(found)
    return found.length * BLOCK
  }

  /**
   * Keeps what a row of a cache holds of a text.
   * @param owner of the key
   */
  keep(key: string, owner: Owner, ids: readonly number[], cache: BatchCache, row: number): void {
    const count = Math.floor(Math.min(ids.length, cache.rowLength(row)) / BLOCK)
    if (count === 0) return
    const found = this.find(key, ids)
    let at: Root | undefined = found.at(-1) ?? this.roots.get(key)
    if (at === undefined) this.roots.set(key, (at = { next: new Map(), owner } as Root & { owner: Owner }))
    for (let i = found.length; i < count; i++) {
      const block = this.block(at, nameOf(ids, i), cache.copySlots(row, i * BLOCK, BLOCK))
      found.push(block)
      at = block
    }
    this.use(found)
    while (this.held > this.most) this.drop(this.byUse.values().next().value!)
  }

  /** Gives up what was kept for some owners. */
  forget(isGone: (key: string, owner: Owner) => boolean): void {
    for (const [key, root] of [...this.roots]) {
      if (!isGone(key, root.owner)) continue
      this.roots.delete(key)
      const dropAll = ({ next }: Root): void => {
        for (const block of [...next.values()]) {
          dropAll(block)
          this.drop(block)
        }
      }
      dropAll(root)
    }
  }

  private find(key: string, ids: readonly number[]): Block[] {
    const found: Block[] = []
    let at: Root | undefined = this.roots.get(key)
    for (let i = 0; at !== undefined && (i + 1) * BLOCK <= ids.length; i++) {
      const block: Block | undefined = at.next.get(nameOf(ids, i))
      if (block !== undefined) found.push(block)
      at = block
    }
    return found
  }

  private block(before: Root, name: string, data: Float32Array): Block {
    const block = { next: new Map<string, Block>(), data, leave: () => before.next.delete(name) }
    before.next.set(name, block)
    this.held += data.byteLength
    return block
  }

  private use(blocks: readonly Block[]): void {
    for (const block of blocks.toReversed()) {
      this.byUse.delete(block)
      this.byUse.add(block)
    }
  }

  private drop(block: Block): void {
    this.byUse.delete(block)
    block.leave()
    this.held -= block.data.byteLength
  }
}

/** A text that only the same tokens have. */
const nameOf = (ids: readonly number[], block: number): string => ids.slice(block * BLOCK, (block + 1) * BLOCK).join()
