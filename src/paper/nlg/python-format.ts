/** @file Numbers as Python's format strings write them, in so far as the original scripts do. */

/** `{value:width.digitsf}` */
export const fixed = (value: number, width: number, digits: number): string => {
  const text = Number.isFinite(value) ? value.toFixed(digits) : Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
  return text.padStart(width)
}

/** `{value:.digitsg}`: significant digits without zeros behind, with an exponent below −4 and from `digits` on. */
export function general(value: number, digits: number): string {
  if (!Number.isFinite(value)) return fixed(value, 0, 0)
  if (value === 0) return '0'
  const [mantissa, exponent] = value.toExponential(digits - 1).split('e') as [string, string]
  const power = Number(exponent)
  const trimmed = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text)
  if (power >= -4 && power < digits) return trimmed(value.toFixed(digits - 1 - power))
  return `${trimmed(mantissa)}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}
