/** @file Numbers for people, the same in a terminal and in a page. */

/** 1234567 as `1,234,567`. */
export const count = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 0 })

/** A number of things: `1 row`, `2,000 rows`. */
export const counted = (value: number, thing: string): string => `${count(value)} ${thing}${value === 1 ? '' : 's'}`

/** A number with so many significant digits; `–` where there is none. */
export const digits = (value: number | undefined, significant = 5): string =>
  value === undefined || !Number.isFinite(value) ? '–' : String(Number(value.toPrecision(significant)))

/** A mean of counts: three digits, and all of those before the point. */
export const mean = (value: number): string => (Math.abs(value) < 100 ? digits(value, 3) : count(value))

export const percent = (share: number): string => `${digits(100 * share, 3)} %`
