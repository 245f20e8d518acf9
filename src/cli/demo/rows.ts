/**
 * @file Seeded data-to-text rows in two domains: fields in, a sentence out.
 *
 * Domain A (`general`) is what the base model is pretrained on: restaurants, weather, people, towns, appointments and
 * lists, as `key: value; key: value`, each in one of several wordings drawn at random. Domain B (`trains`) is what the
 * demo adapts to: station announcements from a terse departure board. There the wording follows from the fields (kind of
 * train, delay, what is on board), so that a held-out row has one right sentence. The names are made of syllables:
 * hundreds of towns and more than ten million rows, so held-out rows are combinations that training never saw.
 */
import { Random } from '../../util/rng.js'
import * as words from './words.js'

export type Domain = 'general' | 'trains'

export interface DemoRow {
  /** Fields and a line break. */
  readonly prompt: string
  readonly completion: string
  /** What the completion has to say, word for word. */
  readonly facts: readonly string[]
}

/**
 * So many rows with prompts that all differ: any two slices of one call are disjoint. The same seed gives the same rows,
 * and the first rows of a longer call are those of a shorter one.
 */
export function generateRows(domain: Domain, count: number, seed: number): DemoRow[] {
  const random = Random.derive(seed, domain)
  const rows = new Map<string, DemoRow>()
  while (rows.size < count) {
    const row = domain === 'trains' ? train(random) : pick(random, general)(random)
    if (!rows.has(row.prompt)) rows.set(row.prompt, row)
  }
  return [...rows.values()]
}

/** Rows as JSONL, in the shape that `lowrank train` reads. */
export const toJsonl = (rows: readonly DemoRow[]): string =>
  rows.map(({ prompt, completion }) => `${JSON.stringify({ prompt, completion })}\n`).join('')

/** How many of a row's facts a text states. A number must end where it ends: "platform 1" is not in "platform 12". */
export const factsStated = (row: DemoRow, text: string): number =>
  row.facts.filter((fact) => text.split(fact).some((rest, i) => i > 0 && !/^[A-Za-z0-9]/.test(rest))).length

/**
 * A row of domain A with its fields in another order and punctuation, or as bare values: what makes the base look for
 * values rather than places.
 */
export function reformatted(row: DemoRow, random: Random): DemoRow {
  const style = pick(random, styles)
  if (row.prompt.startsWith('list: ')) {
    const items = row.prompt.slice('list: '.length, -1).split(', ')
    return { ...row, prompt: `${items.join(style.between)}\n` }
  }
  const fields = row.prompt.trimEnd().split('; ')
  if (chance(random, 0.5)) random.shuffle(fields)
  return { ...row, prompt: `${fields.map((field) => field.replace(/^(\w+): /, style.key)).join(style.between)}\n` }
}

/** `key` replaces `name: `, `$1` being the name. */
const styles = [
  { key: '$1: ', between: '; ' },
  { key: '$1 = ', between: ', ' },
  { key: '$1 ', between: ' / ' },
  { key: '', between: ' | ' },
  { key: '', between: ' > ' },
  { key: '', between: ' ' },
] as const

const pick = <T>(random: Random, list: readonly T[]): T => list[random.integer(list.length)] as T
const chance = (random: Random, probability: number): boolean => random.uniform() < probability
const between = (random: Random, low: number, high: number): number => low + random.integer(high - low + 1)

const town = (r: Random): string => pick(r, words.townStarts) + pick(r, words.townEnds)
const person = (r: Random): string => `${pick(r, words.firstNames)} ${pick(r, words.townStarts)}${pick(r, words.nameEnds)}`
const time = (r: Random): string => `${String(between(r, 5, 23)).padStart(2, '0')}:${String(5 * r.integer(12)).padStart(2, '0')}`

/** A row of domain A from its fields; those without a value are left out. The facts are the values. */
function fieldRow(fields: Readonly<Record<string, string | number | undefined>>, completion: string): DemoRow {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined)
  return {
    prompt: `${given.map(([key, value]) => `${key}: ${value}`).join('; ')}\n`,
    completion,
    facts: given.map(([, value]) => String(value)),
  }
}

function restaurant(r: Random): DemoRow {
  const name = `${pick(r, words.adjectives)} ${pick(r, words.nouns)}`
  const [food, price, area] = [pick(r, words.foods), pick(r, words.prices), town(r)]
  const opens = chance(r, 0.5) ? time(r) : undefined
  const text = pick(r, [
    `${name} is a ${price} ${food} restaurant in ${area}.`,
    `In ${area} you find ${name}, a ${price} place with ${food} food.`,
    `If you like ${food} food, try ${name} in ${area}. It is ${price}.`,
    `${name} in ${area} serves ${food} dishes and is ${price}.`,
  ])
  const hours = opens === undefined ? '' : pick(r, [` It opens at ${opens}.`, ` The doors open at ${opens}.`])
  return fieldRow({ name, food, price, area, opens }, text + hours)
}

function weather(r: Random): DemoRow {
  const [place, day, sky, high] = [town(r), pick(r, words.days), pick(r, words.skies), between(r, 1, 35)]
  const wind = chance(r, 0.5) ? pick(r, words.winds) : undefined
  const text = pick(r, [
    `On ${day} there will be ${sky} in ${place} with up to ${high} degrees.`,
    `${place} expects ${sky} on ${day}. The temperature rises to ${high} degrees.`,
    `The weather for ${place} on ${day}: ${sky} and ${high} degrees.`,
  ])
  const breeze = wind === undefined ? '' : pick(r, [` The wind comes from the ${wind}.`, ` Expect wind from the ${wind}.`])
  return fieldRow({ weather: place, day, sky, high, wind }, text + breeze)
}

function biography(r: Random): DemoRow {
  const [who, job, born, home] = [person(r), pick(r, words.jobs), between(r, 1900, 2009), town(r)]
  const likes = chance(r, 0.4) ? pick(r, words.hobbies) : undefined
  const text = pick(r, [
    `${who} is a ${job} from ${home}, born in ${born}.`,
    `The ${job} ${who} was born in ${born} and lives in ${home}.`,
    `${who}, born in ${born}, works as a ${job} in ${home}.`,
  ])
  const hobby = likes === undefined ? '' : pick(r, [` A favourite hobby is ${likes}.`, ` Nothing is better than ${likes}.`])
  return fieldRow({ person: who, job, born, home, likes }, text + hobby)
}

function place(r: Random): DemoRow {
  const [name, near, people, famous] = [town(r), town(r), between(r, 2, 990), pick(r, words.sights)]
  const km = between(r, 3, 250)
  const text = pick(r, [
    `${name} lies ${km} km from ${near}. About ${people} thousand people live there, and its ${famous} is famous.`,
    `With ${people} thousand people, ${name} is known for its ${famous}. It is ${km} km to ${near}.`,
    `The town of ${name} has ${people} thousand people and a famous ${famous}. From ${near} it is ${km} km.`,
  ])
  return fieldRow({ town: name, near, km, people, famous }, text)
}

function appointment(r: Random): DemoRow {
  const [who, whom, day, at, where] = [person(r), person(r), pick(r, words.days), time(r), town(r)]
  const text = pick(r, [
    `${who} meets ${whom} in ${where} on ${day} at ${at}.`,
    `On ${day} at ${at}, ${who} and ${whom} meet in ${where}.`,
    `There is a meeting of ${who} with ${whom} at ${at} on ${day}, in ${where}.`,
  ])
  return fieldRow({ meeting: who, with: whom, day, at, where }, text)
}

/** Arbitrary words and numbers to be repeated: what teaches the base to copy, also words it meets nowhere else. */
function list(r: Random): DemoRow {
  const items = Array.from({ length: between(r, 2, 5) }, () =>
    pick(r, [() => pick(r, words.everything), () => String(between(r, 1, 999)), () => town(r), () => time(r)])(),
  )
  const text = pick(r, [
    `The list has ${items.length} entries: ${items.join(', ')}.`,
    `Here they are: ${items.join(' and ')}.`,
    `We read ${items.join(', then ')}.`,
    `${items.join(', ')}: that is all.`,
    `${items.join(' and ')} are the ${items.length} entries.`,
  ])
  return { prompt: `list: ${items.join(', ')}\n`, completion: text, facts: items }
}

const general = [restaurant, weather, biography, place, appointment, list, list] as const

/** `IC 204 | Halden > Morvik | via Lindholm | 08:15 | pf 4 | +10 | bistro` and its announcement. */
function train(r: Random): DemoRow {
  const kind = pick(r, words.trainKinds)
  const [number, from, to] = [between(r, 10, 999), town(r), town(r)]
  const via = chance(r, 0.5) ? town(r) : undefined
  const [at, platform] = [time(r), between(r, 1, 14)]
  const delay = chance(r, 0.5) ? 5 * between(r, 1, 12) : 0
  const extra = chance(r, 0.6) ? pick(r, words.trainExtras) : undefined

  const board = [`${kind.short} ${number}`, `${from} > ${to}`, via && `via ${via}`, at, `pf ${platform}`]
  const prompt = `${[...board, `+${delay}`, extra?.short].filter((part) => part !== undefined).join(' | ')}\n`
  const late = delay === 0 ? 'on time' : `${delay} minutes late`
  const route = `from ${from} to ${to}${via === undefined ? '' : ` via ${via}`}`
  const text = {
    IC: `Attention please: InterCity ${number} ${route} leaves at ${at} from platform ${platform}, ${late}.`,
    RE: `Now on platform ${platform}: Regional Express ${number} ${route}, departure at ${at}, running ${late}.`,
    NT: `Good evening. Night Train ${number} will take you ${route}. Please board on platform ${platform} at ${at}. We are ${late}.`,
  }[kind.short]
  const sorry = delay >= 30 ? ' We apologise for the long delay.' : ''
  const aboard = extra === undefined ? '' : ` ${extra.sentence}`
  return {
    prompt,
    completion: text + sorry + aboard,
    facts: [
      `${kind.name} ${number}`,
      `from ${from}`,
      `to ${to}`,
      ...(via === undefined ? [] : [`via ${via}`]),
      `at ${at}`,
      `platform ${platform}`,
      late,
      ...(extra === undefined ? [] : [extra.sentence]),
    ],
  }
}
