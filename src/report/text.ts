/** @file Numbers and markup as text. */

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Text that may stand in an element or an attribute. */
export const escape = (value: unknown): string => String(value).replace(/[&<>"']/g, (c) => escapes[c]!)

/** JSON that may stand inside a script element. */
export const embed = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c')

/** A number of six digits for charts; null, a gap, where it is not finite. */
export const round = (value: number): number | null => (Number.isFinite(value) ? Number(value.toPrecision(6)) : null)

/** A number with so many digits behind the point, of one below 1 so many that count: what is small is not 0. */
export function number(value: number | undefined, digits = 4): string {
  if (value === undefined || !Number.isFinite(value)) return '–'
  const isSmall = Math.abs(value) < 1 && digits > 0
  return value.toLocaleString('en-US', isSmall ? { maximumSignificantDigits: digits } : { maximumFractionDigits: digits })
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds)
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  return parts[0]! > 0
    ? `${parts[0]} h ${parts[1]} min`
    : parts[1]! > 0
      ? `${parts[1]} min ${parts[2]} s`
      : `${seconds.toFixed(1)} s`
}

/** The value of a setting. */
export const show = (value: unknown): string =>
  value === undefined
    ? '–'
    : typeof value === 'string'
      ? value
      : Array.isArray(value)
        ? value.map(show).join(', ')
        : JSON.stringify(value)

/** A table whose rows begin with their names. @param mark whether a row stands out */
export const table = (
  rows: readonly (readonly string[])[],
  head?: readonly string[],
  mark: (row: readonly string[]) => boolean = () => false,
): string =>
  `<div class="wide"><table>${head === undefined ? '' : `<thead><tr>${head.map((h) => `<th scope="col">${escape(h)}</th>`).join('')}</tr></thead>`}<tbody>${rows
    .map(
      (row) =>
        `<tr${mark(row) ? ' class="differs"' : ''}><th scope="row">${escape(row[0])}</th>${row
          .slice(1)
          .map((c) => `<td>${escape(c)}</td>`)
          .join('')}</tr>`,
    )
    .join('')}</tbody></table></div>`
