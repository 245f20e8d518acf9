/** @file Subspace similarity as a picture: heat maps of one layer, as figures 3 and 4 of Hu et al., "LoRA", 2021 show it. */
import type { ComparedLayer } from '../analyze/compare-adapters.js'
import type { SimilarityGrid } from '../analyze/similarity.js'
import { InvalidOptionError } from '../errors.js'
import { checkArgument, type ArgumentKind } from '../util/arguments.js'
import { isObject } from '../util/json.js'
import { escape } from './text.js'

/** From 0 to 1, of even brightness steps, told apart by the colour-blind too (viridis: Smith and van der Walt, 2015). */
const SCALE = ['#440154', '#472d7b', '#3b528b', '#2c728e', '#21918c', '#28ae80', '#5ec962', '#addc30', '#fde725'] as const
/** Steps of colour: cells of one step are one path, so that a map of 64 × 64 cells stays small. */
const STEPS = 25

const [SIDE, GAP, LEFT, TOP, LEGEND, BELOW] = [190, 44, 48, 40, 84, 44] as const

const style =
  '.lr-map text{font:11px system-ui,sans-serif;fill:#1c2128}.lr-map .title{font-weight:600;font-size:12px}.lr-map .quiet{fill:#5b6472}.lr-map rect.frame{fill:none;stroke:#98a2b0}' +
  '@media (prefers-color-scheme:dark){.lr-map text{fill:#e4e7eb}.lr-map .quiet{fill:#98a2b0}}'

/** The colour of a value in [0, 1]. */
function colorOf(value: number): string {
  const place = Math.min(1, Math.max(0, value)) * (SCALE.length - 1)
  const [from, share] = [Math.min(SCALE.length - 2, Math.floor(place)), place - Math.min(SCALE.length - 2, Math.floor(place))]
  const channel = (color: string, k: number): number => parseInt(color.slice(1 + 2 * k, 3 + 2 * k), 16)
  const mixed = [0, 1, 2].map((k) => Math.round(channel(SCALE[from]!, k) * (1 - share) + channel(SCALE[from + 1]!, k) * share))
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`
}

/** The cells of a grid as one path for each step of colour, in units of cells. */
function cells(grid: SimilarityGrid): string {
  const paths = new Map<number, string>()
  grid.forEach((row, i) =>
    row.forEach((value, j) => {
      const step = Math.round(Math.min(1, Math.max(0, value)) * (STEPS - 1))
      paths.set(step, `${paths.get(step) ?? ''}M${j} ${i}h1v1h-1z`)
    }),
  )
  return [...paths].map(([step, path]) => `<path fill="${colorOf(step / (STEPS - 1))}" d="${path}"/>`).join('')
}

/** A heat map at a place, i downwards and j to the right, as many cells as the grid has. */
function map(grid: SimilarityGrid, x: number, title: string, [first, second]: readonly [string, string]): string {
  const [rows, columns] = [grid.length, grid[0]?.length ?? 0]
  const text = (at: readonly [number, number], content: string, more = ''): string =>
    `<text x="${at[0]}" y="${at[1]}"${more}>${escape(content)}</text>`
  const head = text([x, TOP - 12], title, ' class="title"')
  if (rows === 0 || columns === 0) return `${head}${text([x, TOP + SIDE / 2], 'one of the matrices is 0', ' class="quiet"')}`
  const middle = TOP + SIDE / 2
  return [
    head,
    `<g transform="translate(${x} ${TOP}) scale(${SIDE / columns} ${SIDE / rows})" shape-rendering="crispEdges">${cells(grid)}</g>`,
    `<rect class="frame" x="${x}" y="${TOP}" width="${SIDE}" height="${SIDE}"/>`,
    text([x - 5, TOP + 10], '1', ' text-anchor="end" class="quiet"'),
    text([x - 5, TOP + SIDE], String(rows), ' text-anchor="end" class="quiet"'),
    text([x, TOP + SIDE + 13], '1', ' class="quiet"'),
    text([x + SIDE, TOP + SIDE + 13], String(columns), ' text-anchor="end" class="quiet"'),
    text([x + SIDE / 2, TOP + SIDE + 27], `j of ${second}`, ' text-anchor="middle"'),
    text([x - 10, middle], `i of ${first}`, ` text-anchor="middle" transform="rotate(-90 ${x - 10} ${middle})"`),
  ].join('')
}

/** The colours from 0 to 1. */
function legend(x: number): string {
  const step = SIDE / STEPS
  const bars = Array.from({ length: STEPS }, (_, k) => {
    const y = TOP + SIDE - (k + 1) * step
    return `<rect x="${x}" y="${y.toFixed(2)}" width="14" height="${(step + 0.3).toFixed(2)}" fill="${colorOf(k / (STEPS - 1))}"/>`
  })
  const marks = [0, 0.5, 1].map((value) => `<text x="${x + 19}" y="${TOP + (1 - value) * SIDE + 4}">${value}</text>`)
  return [...bars, ...marks, `<text class="title" x="${x}" y="${TOP - 12}">φ(i, j)</text>`].join('')
}

const layerArgument: ArgumentKind<ComparedLayer> = {
  must: 'be a layer of what compareAdapters gives',
  fits: (value): value is ComparedLayer => isObject(value) && ['module', 'A', 'B'].every((name) => name in value),
}

/**
 * Heat maps of one layer of two adapters: of A and of B, each beside what chance gives.
 * @param names what to call the two adapters
 * @returns an SVG document, light or dark as the reader prefers, which may stand in HTML as well
 * @throws InvalidOptionError for what is no layer, and for names that are not two
 * @example
 * const { layers } = compareAdapters(rank8, rank64)
 * await writeFile('similarity.svg', similarityPicture(layers[0], ['r = 8', 'r = 64']))
 */
export function similarityPicture(layer: ComparedLayer, names: readonly [string, string] = ['the first', 'the second']): string {
  checkArgument(layer, layerArgument, 'similarityPicture')
  if (!Array.isArray(names) || names.length !== 2)
    throw new InvalidOptionError(`names must be two texts, got ${JSON.stringify(names)}`)
  const { A, B, module } = layer
  const maps: readonly (readonly [string, SimilarityGrid])[] = [
    ['A', A.similarity],
    ['A, by chance', A.random],
    ['B', B.similarity],
    ['B, by chance', B.random],
  ]
  const width = LEFT + maps.length * (SIDE + GAP) + LEGEND
  const height = TOP + SIDE + BELOW
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="lr-map" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escape(`Subspace similarity of ${names.join(' and ')} in ${module}`)}</title><style>${style}</style>`,
    ...maps.map(([title, grid], k) => map(grid, LEFT + k * (SIDE + GAP), title, names)),
    legend(LEFT + maps.length * (SIDE + GAP)),
    '</svg>\n',
  ].join('\n')
}
