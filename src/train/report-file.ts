/** @file The report that a run leaves beside its result, as a file: its name, and what tells it from another page. */

export const REPORT_FILE = 'report.html'

/** Begins the data of a report's curves. */
export const REPORT_DATA = '<script type="application/json" id="run">'

/** Whether a text is a report of lowrank. */
export const isReport = (text: string): boolean => text.includes(REPORT_DATA)
