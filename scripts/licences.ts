// Lists the third-party packages in the built modules, with their versions and licences.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The licence file for these modules, whose paths are relative to `root`. Throws if a package has no licence text. */
export async function thirdPartyLicences(root: string, modules: readonly string[]): Promise<string> {
  const names = modules.flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [])
  const parts = await Promise.all(
    [...new Set(names)].toSorted().map((name) => licenceOf(join(root, 'node_modules', name))),
  )
  return [INTRODUCTION, ...parts, SUFFIXES].join(`\n${'-'.repeat(80)}\n\n`)
}

const INTRODUCTION = `Portcullis is under the MIT licence (LICENSE). Its modules contain the following third-party works.
`

const SUFFIXES = `The Public Suffix List (https://publicsuffix.org), MPL-2.0

It is included in a converted form, as \`PUBLIC_SUFFIX_LIST\`. This Source Code Form is subject to the terms of the
Mozilla Public License, v. 2.0. If a copy of the MPL was not distributed with this file, You can obtain one at
https://mozilla.org/MPL/2.0/.
`

async function licenceOf(folder: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    name: string
    version: string
    license: string
  }
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry))
  if (file === undefined) throw new Error(`${manifest.name} has no licence text`)
  const text = await readFile(join(folder, file), 'utf8')
  return `${manifest.name} ${manifest.version}, ${manifest.license}\n\n${text.trim()}\n`
}
