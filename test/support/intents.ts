/** @file Questions to the desk of a library, of our own making: rows `text,category` for a classifier, as Banking77 has them. */

const asked: Readonly<Record<string, readonly string[]>> = {
  renew_loan: ['can I keep my book for two more weeks', 'how do I renew a loan', 'I would like to extend the loan of a novel', 'is it possible to renew my books online'], // prettier-ignore
  lost_card: ['I lost my library card', 'my card is gone, what now', 'somebody stole my card', 'I cannot find my library card any more'], // prettier-ignore
  opening_hours: ['when do you open on Sunday', 'until when are you open today', 'what are your opening hours', 'is the library open on holidays'], // prettier-ignore
  late_fee: ['how much is the fee for a late book', 'why do I have to pay a fee', 'I was charged a late fee twice', 'where can I pay my fees'], // prettier-ignore
  reserve_room: ['can we reserve a room for six people', 'I want to book the quiet room tomorrow', 'how do I reserve a study room', 'are there rooms for groups'], // prettier-ignore
  suggest_title: ['please buy the new atlas of birds', 'I would like to suggest a title', 'can you order a magazine about sailing', 'you should have more comics, may I suggest some'], // prettier-ignore
}

const greetings = [
  ...[
    '',
    'Hello, ',
    'Excuse me, ',
    'Good morning, ',
    'Quick question: ',
    'Sorry, ',
    'Hi there, ',
    'Dear team, ',
    'Please help: ',
  ],
  ...['One more thing, ', 'Tell me, ', 'Good evening, ', 'Good morning, excuse me, ', 'Hi, one question: '],
]
const HELD_OUT = 2

/** A table of every question under some of the greetings. */
const table = (under: readonly string[]): string =>
  ['text,category', ...Object.entries(asked).flatMap(([category, texts]) => under.flatMap((greeting) => texts.map((text) => `"${greeting}${text}?",${category}`)))].join('\n') + '\n' // prettier-ignore

/** Rows to train on, and the same questions under greetings that those do not have. */
export const intents = { train: table(greetings.slice(0, -HELD_OUT)), test: table(greetings.slice(-HELD_OUT)) }
