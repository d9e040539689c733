import { describeKind } from './personal-value.ts'

const FIELD_NAME = /^[\p{L}_$][\p{L}\p{N}_$-]{0,63}$/u

/** The name of a field as it is reported: `*` if it does not look like a field name. */
export function fieldName(name: string): string {
  return FIELD_NAME.test(name) ? name : '*'
}

export function noRecord(given: unknown): TypeError {
  return new TypeError(
    `a record must be a plain object or an instance of a class that keeps its fields as properties, got ${describeKind(given)}. ` +
      'Pass a copy, such as `{ ...row }`, or what the toObject() or toJSON() of a document returns.',
  )
}

export function cannotBeShown(field: string, kind: string): TypeError {
  return new TypeError(
    `the field \`${field}\` of the record given to \`person()\` contains ${kind}, which cannot be copied. ` +
      'Turn it into a plain value first, for example by String(value), or pass what the toObject() or toJSON() of a ' +
      'document returns.',
  )
}
