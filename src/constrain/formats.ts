/** @file The formats of strings that a schema may name, as patterns; of dates and addresses what their standards allow, bounded. */

const octet = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const ipv4 = `${octet}(\\.${octet}){3}`
const label = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
const hostname = `${label}(\\.${label}){0,3}`

// Years with a 29th of February: every fourth, of the full centuries every fourth.
const leapYear = '(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)'
const date = `(\\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))|${leapYear}-02-29)`
const clock = '([01]\\d|2[0-3]):[0-5]\\d'
const time = `${clock}:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]${clock})`

const count = '\\d{1,6}'
const days = `(${count}Y(${count}M(${count}D)?)?|${count}M(${count}D)?|${count}D)`
const hours = `T(${count}H(${count}M(${count}S)?)?|${count}M(${count}S)?|${count}S)`

const group = '[0-9A-Fa-f]{1,4}'
// Where "::" stands for some groups, no more than six are written.
const shortened = [0, 1, 2, 3, 4, 5, 6].map((before) => {
  const left = before === 0 ? '' : `${group}(:${group}){${before - 1}}`
  const room = 6 - before
  return `${left}::${room === 0 ? '' : `(${group}(:${group}){0,${room - 1}})?`}`
})
const ipv6 = `(${group}(:${group}){7}|${shortened.join('|')})`

const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,32}"
const pathCharacter = "([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"

/** Patterns, anchored, by the name of their format. */
export const formats: Readonly<Record<string, string>> = {
  date: `^${date}$`,
  time: `^${time}$`,
  'date-time': `^${date}T${time}$`,
  duration: `^P(${count}W|${days}(${hours})?|${hours})$`,
  email: `^${atom}(\\.${atom})?@${label}(\\.${label}){1,2}$`,
  hostname: `^${hostname}$`,
  ipv4: `^${ipv4}$`,
  ipv6: `^${ipv6}$`,
  uuid: '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$',
  uri: `^(https?|ftp)://${hostname}(:\\d{1,4})?(/${pathCharacter}*)*(\\?(${pathCharacter}|[/?])*)?(#(${pathCharacter}|[/?])*)?$`,
}
