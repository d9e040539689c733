/** The characters of app ids, list names and key ids. They are safe in a header, a path, a Redis key and a log line. */
const NAME = /^[A-Za-z0-9._:-]{1,128}$/

/** Completes the sentence "app id `x` …". */
export const NAME_RULE = 'must be 1-128 characters of A-Z a-z 0-9 . _ : -'

export const APP_ID_PATTERN: RegExp = NAME
export const LIST_NAME_PATTERN: RegExp = NAME
export const KEY_ID_PATTERN: RegExp = NAME

/** Whether the value can be the id of an app: 1-128 characters of `A-Z a-z 0-9 . _ : -`. */
export function isAppId(value: unknown): value is string {
  return typeof value === 'string' && APP_ID_PATTERN.test(value)
}

/** Whether the value can be the name of a list: 1-128 characters of `A-Z a-z 0-9 . _ : -`. */
export function isListName(value: unknown): value is string {
  return typeof value === 'string' && LIST_NAME_PATTERN.test(value)
}

/** Whether the value can be the id of a key: 1-128 characters of `A-Z a-z 0-9 . _ : -`. */
export function isKeyId(value: unknown): value is string {
  return typeof value === 'string' && KEY_ID_PATTERN.test(value)
}
