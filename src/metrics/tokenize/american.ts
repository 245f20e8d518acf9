/** @file British spellings as American ones: Stanford's tokenizer, before CoreNLP 3.8, wrote American English. */

/** Words in -our, whose other forms keep the ending: coloured, favourite, neighbourhood. */
const OUR = (
  'arb ard arm behavi cand clam col demean discol endeav fav ferv flav harb hon hum lab misdemean neighb od parl ranc rig ' +
  'rum sav savi splend succ tum val vap vig'
).split(' ')

/** Words in -re after a consonant. */
const RE = (
  'calib cent centilit centimet epicent fib goit kilomet lit lust luc meag millilit millimet mit och reconnoit sab saltpet sept ' +
  'sepulch somb spect theat amphitheat'
).split(' ')

/** Others, each with its forms. */
const OTHERS: Readonly<Record<string, string>> = {
  ...{ analogue: 'analog', analogues: 'analogs', analyse: 'analyze', analysed: 'analyzed', analysing: 'analyzing' },
  ...{ defence: 'defense', defences: 'defenses', offence: 'offense', offences: 'offenses' },
  ...{ programme: 'program', programmes: 'programs', travelled: 'traveled', traveller: 'traveler' },
  ...{ travellers: 'travelers', travelling: 'traveling', cancelled: 'canceled', cancelling: 'canceling' },
  ...{ organise: 'organize', organised: 'organized', organising: 'organizing', organisation: 'organization' },
  ...{ realise: 'realize', realised: 'realized', realising: 'realizing', recognise: 'recognize', recognised: 'recognized' },
}

const OUR_WORD = RegExp(`^(un|dis|mis)?(${OUR.join('|')})our(?!ous)`)
const RE_WORD = RegExp(`^(${RE.join('|')})r(e|es|ed)$`)

/** What is left of the endings of words in -re behind -er: centred, centered. */
const ENDINGS: Readonly<Record<string, string>> = { e: '', es: 's', ed: 'ed' }

/** The American spelling of a word in small letters; other words as they are. */
export function americanSpelling(word: string): string {
  if (Object.hasOwn(OTHERS, word)) return OTHERS[word]!
  return word.replace(OUR_WORD, '$1$2or').replace(RE_WORD, (_, stem: string, ending: string) => `${stem}er${ENDINGS[ending]!}`)
}
