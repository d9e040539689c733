let latestSecond = Number.NaN
let beginning = ''
let latestTime = Number.NaN
let latestText = ''

/**
 * A time in ISO 8601, from milliseconds since the epoch. Most events share the second with the previous one and differ at most in
 * the milliseconds.
 */
export function isoTime(time: number): string {
  if (time === latestTime) return latestText
  const second = Math.floor(time / 1000)
  if (second !== latestSecond) {
    beginning = new Date(1000 * second).toISOString().slice(0, -4)
    latestSecond = second
  }
  const milliseconds = Math.floor(time) - 1000 * second
  latestTime = time
  latestText = `${beginning}${milliseconds < 10 ? '00' : milliseconds < 100 ? '0' : ''}${milliseconds}Z`
  return latestText
}
