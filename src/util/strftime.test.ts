/** @file Dates as Python's strftime writes them in the C locale. */
import { describe, expect, it } from 'vitest'
import { strftime } from './strftime.js'

describe('strftime', () => {
  it('formats as Python does in the C locale', () => {
    const date = new Date(2024, 6, 5, 15, 4, 9)
    expect(strftime(date, '%d %b %Y')).toBe('05 Jul 2024')
    expect(strftime(date, '%A %a, %B %-d, %y; %H:%M:%S = %I %p 100%%')).toBe('Friday Fri, July 5, 24; 15:04:09 = 03 PM 100%')
    expect(strftime(new Date(2024, 0, 1, 0, 0), '%I %p %m')).toBe('12 AM 01')
    expect(strftime(date, '%Q %')).toBe('%Q %')
  })
})
