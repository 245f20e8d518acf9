/**
 * @file The names that modules had in other versions of transformers. Checkpoints and adapters of those times carry them,
 * so each table of renamings is read in both directions: an adapter's names into today's, and today's modules by the names
 * that the adapter's configuration (`target_modules`, patterns) speaks of.
 */

/**
 * Parts of paths, whole segments between dots, that were called otherwise; `^` holds a pair to the start of the path.
 * Former names are replaced in this order, so longer ones come first.
 */
export type Renamings = readonly (readonly [former: string, now: string])[]

/** The path with the segments `from` called `to`. */
function replaced(path: string, from: string, to: string, atStart: boolean): string {
  for (let at = path.indexOf(from); at >= 0 && (at === 0 || !atStart); at = path.indexOf(from, at + 1)) {
    const end = at + from.length
    const whole = (at === 0 || path[at - 1] === '.') && (end === path.length || path[end] === '.')
    if (whole) return path.slice(0, at) + to + path.slice(end)
  }
  return path
}

const plain = (pair: string): string => pair.replace(/^\^/, '')

/** A path, or the name of a tensor, of former times as it is called today. */
export const toToday = (renamings: Renamings, path: string): string =>
  renamings.reduce((name, [former, now]) => replaced(name, plain(former), now, former.startsWith('^')), path)

/** A path, or the name of a tensor, as it was called then. */
export const toFormer = (renamings: Renamings, path: string): string =>
  renamings.reduce((name, [former, now]) => replaced(name, now, plain(former), former.startsWith('^')), path)

/** A way to name the modules of a model. */
export interface Naming {
  /** From the model's own names. */
  readonly then: (path: string) => string
  /** To the model's own names. */
  readonly now: (path: string) => string
}

const own: Naming = { then: (path) => path, now: (path) => path }

/** Without a prefix that the model's names have, as the class of the bare base model has them, or with one that they lack. */
const prefixNamings = (prefix: string): Naming[] => {
  const without = (path: string): string => (path.startsWith(prefix) ? path.slice(prefix.length) : path)
  const beside = (path: string): string => (path.startsWith(prefix) ? path : prefix + path)
  return [
    { then: without, now: beside },
    { then: beside, now: without },
  ]
}

/**
 * All ways to name the modules of an architecture: the model's own first, then those of other versions of transformers, and
 * each with and without the prefix of the base model.
 */
export function namingsOf({
  formerNames = [],
  baseModelPrefix,
}: {
  readonly formerNames?: readonly Renamings[]
  readonly baseModelPrefix: string
}): Naming[] {
  const tables = formerNames.flatMap((table): Naming[] => [
    { then: (path) => toFormer(table, path), now: (path) => toToday(table, path) },
    // A graph that was exported then, and an adapter of today.
    { then: (path) => toToday(table, path), now: (path) => toFormer(table, path) },
  ])
  const bases = [own, ...tables]
  const bare = prefixNamings(baseModelPrefix).flatMap((prefix) =>
    bases.map((base): Naming => ({ then: (path) => base.then(prefix.then(path)), now: (path) => prefix.now(base.now(path)) })),
  )
  return [...bases, ...bare]
}
