/** @file The words that rows.ts makes its rows of. Plain ASCII; places and people are invented. */

const split = (text: string): readonly string[] => text.trim().split(/\s+/)

export const townStarts = split(`
  Hal Mor Lind Ost Kar Bel Tor Vin Ash Gran Sol Nor Wes Elm Fal Gar Hart Kil Lang Mar Oak Pen Ros Sand Stan Thorn Ull
  Var Wal Bran Cald Dun Eld Fen Hol Red`)
export const townEnds = split(`den vik berg stad ford holm wick ton mere dale by sund bridge port field haven ley mouth`)
export const nameEnds = split(`son man er sen ing ski`)
export const firstNames = split(`
  Anna Ben Clara David Emma Felix Grace Henry Ida Jonas Karin Leo Maria Nils Olga Paul Rosa Simon Tilda Victor`)
export const adjectives = split(`Blue Golden Green Happy Little Old Quiet Red Royal Silver Sunny White`)
export const nouns = split(`Anchor Bear Boat Fish Fox Garden Kitchen Lantern Lion Moon Rose Table Tower Wheel`)
export const foods = split(`Italian French Indian Chinese Greek Spanish Turkish Japanese English Thai`)
export const prices = split(`cheap modest costly`)
export const days = split(`Monday Tuesday Wednesday Thursday Friday Saturday Sunday`)
export const skies = split(`rain snow sunshine fog clouds showers thunder hail`)
export const winds = split(`north south east west`)
export const jobs = split(`painter baker doctor teacher driver farmer singer pilot sailor writer builder nurse`)
export const hobbies = split(`chess music football reading cooking swimming dancing sailing`)
export const sights = split(`castle harbour market bridge church museum garden station library tower`)

export const trainKinds = [
  { short: 'IC', name: 'InterCity' },
  { short: 'RE', name: 'Regional Express' },
  { short: 'NT', name: 'Night Train' },
] as const

export const trainExtras = [
  { short: 'bistro', sentence: 'The bistro car is open.' },
  { short: 'wifi', sentence: 'There is free wireless internet on board.' },
  { short: 'bikes', sentence: 'Bicycles are welcome.' },
  { short: 'quiet', sentence: 'Please keep quiet in coach 7.' },
  { short: 'full', sentence: 'All seats are reserved today.' },
] as const

/** Every word above and more of everyday language, each once: what lists are made of. */
export const everything = [
  ...new Set([
    ...[firstNames, adjectives, nouns, foods, prices, days, skies, winds, jobs, hobbies, sights].flat(),
    ...split(`
      IC RE NT InterCity Regional Express Night Train train pf platform via from to on off at late early time minutes hours
      departure arrival leaves comes running waiting please attention good morning evening now today tomorrow we you they
      are is will take board car coach bistro wireless wifi internet free bicycles bikes welcome keep quiet seats all
      reserved full open closed long short delay apologise sorry there here and or | > + - / = * #
      Attention Good Now We Please There The All Bicycles It On In If`),
  ]),
]
