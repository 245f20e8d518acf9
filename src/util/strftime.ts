/** @file Python's `strftime` in the C locale, as chat templates use it. Local time, as `datetime.now()` gives: without a zone. */

const MONTHS = [
  ...['January', 'February', 'March', 'April', 'May', 'June', 'July'],
  ...['August', 'September', 'October', 'November', 'December'],
]
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

const padded = (value: number, width = 2): string => String(value).padStart(width, '0')
const blank = (value: number): string => String(value).padStart(2, ' ')

/** Days since the first of January, from 0. */
function dayOfYear(date: Date): number {
  const day = (year: number, month: number, of: number): number => Date.UTC(year, month, of) / 86_400_000
  return day(date.getFullYear(), date.getMonth(), date.getDate()) - day(date.getFullYear(), 0, 1)
}

/** The week of the year whose first begins with its first Sunday (0) or Monday (1). */
const weekFrom = (date: Date, first: number): number => Math.floor((dayOfYear(date) + 7 - ((date.getDay() + 7 - first) % 7)) / 7)

/** Year and week of ISO 8601: weeks begin on Monday, and the first holds the fourth of January. */
function isoWeek(date: Date): { readonly year: number; readonly week: number } {
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 4 - (date.getDay() || 7))
  return { year: thursday.getFullYear(), week: Math.floor(dayOfYear(thursday) / 7) + 1 }
}

const hour12 = (date: Date): number => date.getHours() % 12 || 12
const halfDay = (date: Date): string => (date.getHours() < 12 ? 'AM' : 'PM')

const fields: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getFullYear()),
  G: (date) => String(isoWeek(date).year),
  C: (date) => padded(Math.floor(date.getFullYear() / 100)),
  y: (date) => padded(date.getFullYear() % 100),
  g: (date) => padded(isoWeek(date).year % 100),
  m: (date) => padded(date.getMonth() + 1),
  B: (date) => MONTHS[date.getMonth()] ?? '',
  b: (date) => (MONTHS[date.getMonth()] ?? '').slice(0, 3),
  h: (date) => (MONTHS[date.getMonth()] ?? '').slice(0, 3),
  d: (date) => padded(date.getDate()),
  e: (date) => blank(date.getDate()),
  j: (date) => padded(dayOfYear(date) + 1, 3),
  A: (date) => DAYS[date.getDay()] ?? '',
  a: (date) => (DAYS[date.getDay()] ?? '').slice(0, 3),
  u: (date) => String(date.getDay() || 7),
  w: (date) => String(date.getDay()),
  U: (date) => padded(weekFrom(date, 0)),
  W: (date) => padded(weekFrom(date, 1)),
  V: (date) => padded(isoWeek(date).week),
  H: (date) => padded(date.getHours()),
  k: (date) => blank(date.getHours()),
  I: (date) => padded(hour12(date)),
  l: (date) => blank(hour12(date)),
  p: halfDay,
  P: (date) => halfDay(date).toLowerCase(),
  M: (date) => padded(date.getMinutes()),
  S: (date) => padded(date.getSeconds()),
  f: (date) => padded(date.getMilliseconds() * 1000, 6),
  s: (date) => String(Math.floor(date.getTime() / 1000)),
  D: (date) => strftime(date, '%m/%d/%y'),
  x: (date) => strftime(date, '%m/%d/%y'),
  F: (date) => strftime(date, '%Y-%m-%d'),
  T: (date) => strftime(date, '%H:%M:%S'),
  X: (date) => strftime(date, '%H:%M:%S'),
  R: (date) => strftime(date, '%H:%M'),
  r: (date) => strftime(date, '%I:%M:%S %p'),
  c: (date) => strftime(date, '%a %b %e %H:%M:%S %Y'),
  z: () => '',
  Z: () => '',
  n: () => '\n',
  t: () => '\t',
  '%': () => '%',
}

/** Directives made of several, which a dash leaves as they are. */
const COMPOSED = 'DxFTXRrc'

/**
 * Formats a date as glibc does for Python; a `-` as in `%-d` drops leading zeros and blanks, and what is no directive stays.
 * @throws RangeError for widths and other flags, rather than to write something else
 */
export function strftime(date: Date, format: string): string {
  return format.replace(
    /%([-_^#0]*)(\d*)([EO]?)([A-Za-z%])/g,
    (directive, flags: string, width: string, era: string, letter: string) => {
      if ((flags !== '' && flags !== '-') || width !== '' || era !== '')
        throw new RangeError(`the date format ${directive} is not supported`)
      const field = Object.hasOwn(fields, letter) && directive !== '%-f' ? fields[letter] : undefined
      if (field === undefined) return directive
      return flags === '' || COMPOSED.includes(letter) ? field(date) : field(date).replace(/^[0 ]+(?=\d)/, '')
    },
  )
}
