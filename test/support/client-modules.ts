import { readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { transformSync } from '@swc/core'
import { repository } from './commands.ts'

/** JavaScript by the path of its source in `src`, such as `client/index.ts`. */
export type Modules = ReadonlyMap<string, string>

/** `portcullis/client` and everything that it imports, as JavaScript for another runtime. */
export function clientModules(type: 'es6' | 'commonjs'): Modules {
  const modules = new Map<string, string>()
  const add = (path: string): void => {
    if (modules.has(path)) return
    const source = readFileSync(join(repository, 'src', path), 'utf8')
    const { code } = transformSync(source, {
      filename: path,
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type },
    })
    modules.set(path, code)
    for (const [, target = ''] of code.matchAll(/(?:from |require\()["'](\.[^"']+)["']/g)) {
      add(posix.join(posix.dirname(path), target))
    }
  }
  add('client/index.ts')
  return modules
}

/** Signs a POST and a GET with both kinds of keys, in a runtime with the modules. Returns status and body. */
export const SIGN_ALL = `
async function signAll({ signedFetch, signRequest }, { origin, secret, privateKey }) {
  const keys = [{ keyId: 'key-1', secret }, { keyId: 'key-2', privateKey }]
  const answers = []
  for (const key of keys) {
    const send = signedFetch({ ...key, appId: 'app-1' })
    const headers = { 'content-type': 'application/json' }
    const post = await send(origin + '/caf\\u00e9?a=b c', { method: 'POST', headers, body: '{"a":"\\u00e9"}' })
    const get = await send(origin + '/get')
    answers.push(await post.text(), await get.text())
  }
  const signed = await signRequest({ method: 'GET', url: origin }, keys[0])
  answers.push(typeof signed.signature)
  return answers
}`
