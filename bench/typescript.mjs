/**
 * Runs TypeScript without a build: `node --import ./bench/typescript.mjs <file>`. tsx sets the name of a function each
 * time one is created, which takes longer than some operations measured here. The compiler used for the package does
 * not do this.
 */
import { register } from 'node:module'

register('./typescript-hooks.mjs', import.meta.url)
