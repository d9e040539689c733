// The hooks of `typescript.mjs`, which Node runs in a separate thread.
import { fileURLToPath } from 'node:url'
import { transformFile } from '@swc/core'

/** Resolves the name of the package to its sources. */
export function resolve(specifier, context, next) {
  const [name, door] = specifier.split('/')
  if (name !== 'portcullis') return next(specifier, context)
  return next(
    new URL(`../src/${door === undefined ? '' : `${door}/`}index.ts`, import.meta.url).href,
    context,
  )
}

export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const { code } = await transformFile(fileURLToPath(url), {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
    sourceMaps: 'inline',
  })
  return { format: 'module', shortCircuit: true, source: code }
}
