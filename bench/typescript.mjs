/**
 * Runs TypeScript as it stands: `node --import ./bench/typescript.mjs <file>`. tsx names each function anew whenever it is made,
 * which takes longer than some of what is measured here; the compiler, by which the package is built, does not.
 */
import { register } from 'node:module'

register('./typescript-hooks.mjs', import.meta.url)
