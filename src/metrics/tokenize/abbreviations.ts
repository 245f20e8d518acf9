/** @file English words that are written with a period. */

/**
 * Words that a period belongs to, in small letters and without it. Punkt learns them from a corpus, in a file beside NLTK; these are
 * the titles, names of firms, months and Latin shorthands that English texts write with one.
 */
export const ABBREVIATIONS: ReadonlySet<string> = new Set(
  (
    'adj adm adv al apr assn aug ave bros capt cf ch co col corp cmdr ct dec dept dr e.g ed eds est etc feb fig ft gen gov hon i.e ' +
    'inc jan jr jul jun lt ltd maj mar messrs mr mrs ms mt no nov oct op p pp ph.d prof pvt rep reps rev sen sens sep sept sgt sr st ' +
    'u.k u.n u.s u.s.a v vol vs a.m p.m'
  ).split(' '),
)
