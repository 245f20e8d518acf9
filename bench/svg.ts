/** @file Pictures of the results: bars with whiskers, and curves. Plain SVG that follows the reader's light or dark theme. */
import type { Spread } from './statistics.js'

export interface Bar {
  readonly label: string
  readonly value: Spread
}

export interface BarGroup {
  readonly title: string
  readonly unit: string
  readonly bars: readonly Bar[]
}

export interface Curve {
  readonly label: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** Colours that differ for the colour-blind too (Okabe and Ito, 2008). */
const palette = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#8a8a8a'] as const

const [WIDTH, LABELS, VALUES, BAR, GAP] = [860, 230, 130, 18, 6] as const

const style =
  'text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:14px}.faint{fill:#59636e}' +
  'line,path.axis{stroke:#59636e}rect.page{fill:#fff}' +
  '@media (prefers-color-scheme:dark){text{fill:#e6edf3}.faint{fill:#9198a1}line,path.axis{stroke:#9198a1}rect.page{fill:#0d1117}}'

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('`', '')

const round = (value: number): string => String(Number(value.toFixed(1)))

/** 0.01234 as 0.0123, 1234.5 as 1,235. */
const short = (value: number): string =>
  Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))

const page = (height: number, body: readonly string[]): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<style>${style}</style><rect class="page" width="${WIDTH}" height="${height}"/>`,
    ...body,
    '</svg>\n',
  ].join('\n')

/** Horizontal bars in groups; whiskers from the least to the most. A label has one colour in all groups. */
export function barChart(groups: readonly BarGroup[]): string {
  const labels = [...new Set(groups.flatMap(({ bars }) => bars.map(({ label }) => label)))]
  const body: string[] = []
  let y = 14
  for (const { title, unit, bars } of groups) {
    body.push(`<text class="title" x="10" y="${y + 12}">${escape(title)} <tspan class="faint">(${escape(unit)})</tspan></text>`)
    y += 24
    const most = Math.max(...bars.map(({ value }) => value.max), Number.MIN_VALUE)
    const x = (value: number): string => round(LABELS + (value / most) * (WIDTH - LABELS - VALUES))
    for (const { label, value } of bars) {
      const middle = y + BAR / 2
      const color = palette[labels.indexOf(label) % palette.length]!
      body.push(
        `<text x="${LABELS - 8}" y="${middle + 4}" text-anchor="end">${escape(label)}</text>`,
        `<rect x="${LABELS}" y="${y}" width="${round(Number(x(value.median)) - LABELS)}" height="${BAR}" rx="2" fill="${color}"/>`,
        `<line x1="${x(value.min)}" x2="${x(value.max)}" y1="${middle}" y2="${middle}"/>`,
        ...[value.min, value.max].map((end) => `<line x1="${x(end)}" x2="${x(end)}" y1="${middle - 4}" y2="${middle + 4}"/>`),
        `<text x="${round(Number(x(value.max)) + 6)}" y="${middle + 4}">${short(value.median)}</text>`,
      )
      y += BAR + GAP
    }
    y += 14
  }
  return page(y, body)
}

/** Curves over a common axis, with their labels on the right. */
export function lineChart(title: string, axes: { readonly x: string; readonly y: string }, curves: readonly Curve[]): string {
  const height = 380
  const box = { left: 70, right: WIDTH - 190, top: 40, bottom: height - 46 }
  const points = curves.flatMap((curve) => curve.points)
  const range = (values: readonly number[]): [number, number] => {
    const [low, high] = [Math.min(...values), Math.max(...values)]
    return low === high ? [low - 1, high + 1] : [low, high]
  }
  const [x0, x1] = range(points.map(([x]) => x))
  const [y0, y1] = range(points.map(([, y]) => y))
  const px = (x: number): string => round(box.left + ((x - x0) / (x1 - x0)) * (box.right - box.left))
  const py = (y: number): string => round(box.bottom - ((y - y0) / (y1 - y0)) * (box.bottom - box.top))
  const ticks = [0, 0.25, 0.5, 0.75, 1]
  const body = [
    `<text class="title" x="10" y="22">${escape(title)}</text>`,
    `<path class="axis" fill="none" d="M${box.left} ${box.top}V${box.bottom}H${box.right}"/>`,
    ...ticks.flatMap((t) => [
      `<text class="faint" x="${px(x0 + t * (x1 - x0))}" y="${box.bottom + 18}" text-anchor="middle">${short(x0 + t * (x1 - x0))}</text>`,
      `<text class="faint" x="${box.left - 8}" y="${Number(py(y0 + t * (y1 - y0))) + 4}" text-anchor="end">${short(y0 + t * (y1 - y0))}</text>`,
    ]),
    `<text class="faint" x="${(box.left + box.right) / 2}" y="${height - 8}" text-anchor="middle">${escape(axes.x)}</text>`,
    `<text class="faint" x="${box.left}" y="${box.top - 6}">${escape(axes.y)}</text>`,
    ...curves.flatMap((curve, i) => {
      const color = palette[i % palette.length]!
      const path = curve.points.map(([x, y], k) => `${k === 0 ? 'M' : 'L'}${px(x)} ${py(y)}`).join('')
      return [
        `<path fill="none" stroke="${color}" stroke-width="1.8" d="${path}"/>`,
        `<rect x="${box.right + 14}" y="${box.top + i * 18}" width="12" height="4" fill="${color}"/>`,
        `<text x="${box.right + 32}" y="${box.top + i * 18 + 7}">${escape(curve.label)}</text>`,
      ]
    }),
  ]
  return page(height, body)
}
