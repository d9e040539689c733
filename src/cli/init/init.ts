import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isAppId } from '../../names.ts'
import { parsePolicy } from '../../policy/parse.ts'
import type { PolicyInput } from '../../policy/policy.ts'
import { fileStore } from '../../store/file/store.ts'
import { CommandUsageError, EXIT, isSet, textOf, type Run } from '../command.ts'
import { show, tell } from '../output.ts'
import { pageText } from '../pages.ts'
import { inspectProject, type Project } from '../project.ts'

const POLICIES = 'policies.json'
const DEFAULT_APP = 'example-shop'

export const init: Run = async (invocation) => {
  const { values, directory } = invocation
  const appId = textOf(values, 'app') ?? DEFAULT_APP
  if (!isAppId(appId)) throw new CommandUsageError('`--app` must be 1-128 characters of A-Z a-z 0-9 . _ : -')
  const project = await inspectProject(directory)
  if (project === undefined)
    throw new CommandUsageError(
      'there is no package.json here: run `npx portcullis init` in the directory of your application',
    )
  const notes = notesOn(project)
  const isModule = project.modules === 'esm'
  const file = `portcullis${project.typescript ? '.ts' : isModule ? '.js' : '.cjs'}`
  const code = codeFor(project)
  const policy = firstPolicy(appId)
  if (isSet(values, 'write')) {
    const there = []
    for (const name of [file, POLICIES])
      if ((await stat(join(directory, name)).catch(() => undefined)) !== undefined) there.push(`\`${name}\``)
    if (there.length > 0)
      throw new Error(
        `${there.join(' and ')} already ${there.length === 1 ? 'exists' : 'exist'}: nothing was written`,
      )
    await writeFile(join(directory, file), code, { flag: 'wx' })
    const store = fileStore(join(directory, POLICIES), { create: true })
    await store.write({ policy }, 0, { note: 'portcullis init' })
    store.close()
  }
  for (const note of notes) tell(invocation, note)
  const { name, express, modules, typescript } = project
  const shown = isSet(values, 'write')
    ? [`wrote ${file} and ${POLICIES}`]
    : [
        `// ${file}`,
        code,
        `// ${POLICIES}, as \`npx portcullis init --write\` writes it`,
        JSON.stringify({ apps: { [appId]: { policy: parsePolicy(policy) } } }, null, 2),
      ]
  await show(invocation, shown, {
    project: { name, express, modules, typescript, trustProxy: project.trustProxy },
    notes,
    files: isSet(values, 'write') ? [file, POLICIES] : [],
    code,
    policy,
  })
  tell(invocation, nextSteps(appId, isSet(values, 'write')).join('\n'))
  return EXIT.ok
}

/** What was found, and what to do about it. */
function notesOn({ express, modules, typescript, trustProxy, applications }: Project): string[] {
  const [major] = /\d+/.exec(express ?? '') ?? []
  const proxies = trustProxy.map(({ file, line, text }) =>
    text.trim() === 'true'
      ? `${file}:${line}: \`trust proxy\` is true, so callers can forge their address: set it to the subnets of your proxies`
      : `${file}:${line}: \`trust proxy\` is ${text.trim()}`,
  )
  return [
    express === undefined
      ? 'Express is not a dependency: run `npm install express`'
      : `Express ${express}${major === '4' || major === '5' ? '' : ', which is not supported: 4.22 or 5'}`,
    `${modules === 'esm' ? 'ES modules' : 'CommonJS'}${typescript ? ', TypeScript' : ''}`,
    ...(applications.length === 0 ? [] : [`the application is created in ${applications.join(', ')}`]),
    ...(proxies.length > 0
      ? proxies
      : [
          `\`trust proxy\` is not set: behind a proxy, set it to the proxy's subnets (see ${pageText('docs/proxies.md')})`,
        ]),
  ]
}

const NAMES =
  'auditAccess, bodyParsers, createPolicySource, domainProtect, fileStore, ipWhitelist, memoryAuditSink, memoryNonces, serverOnly'

/** The code that mounts the guards, in the order in docs/placement.md. */
function codeFor({ modules, typescript }: Project): string {
  const imports = modules === 'esm' || typescript
  return [
    imports ? `import { ${NAMES} } from 'portcullis'` : `const { ${NAMES} } = require('portcullis')`,
    imports
      ? `import { createVault } from 'portcullis/vault'`
      : `const { createVault } = require('portcullis/vault')`,
    '',
    `const key = process.env${typescript ? "['PORTCULLIS_VAULT_KEY']" : '.PORTCULLIS_VAULT_KEY'}`,
    `const vault = key ? createVault({ keys: [{ id: 'default', key }] }) : undefined`,
    `const shared = { policies: createPolicySource({ store: fileStore('${POLICIES}', { vault }) }) }`,
    `const audit = auditAccess({ ...shared, sink: memoryAuditSink() })`,
    `const signed = serverOnly({ ...shared, nonces: memoryNonces() })`,
    `const guards = [audit, ipWhitelist(shared), domainProtect(shared), bodyParsers(), signed]`,
    imports ? 'export { guards }' : 'module.exports = { guards }',
    `// app.use('/auth', guards)`,
    '',
  ].join('\n')
}

/**
 * A policy that reports what it would refuse, and refuses nothing, because nobody knows the requests of callers on the first day.
 */
function firstPolicy(appId: string): PolicyInput {
  return {
    appId,
    serverOnly: { mode: 'report' },
    ipWhitelist: { mode: 'report', ranges: [] },
    domainProtect: { mode: 'report', domains: [] },
    returnUrlGuard: { mode: 'report', urls: [] },
    regionPin: { mode: 'report' },
    auditAccess: { mode: 'enforce' },
  }
}

function nextSteps(appId: string, written: boolean): string[] {
  return [
    'next:',
    ...(written ? [] : [`  npx portcullis init --write${appId === DEFAULT_APP ? '' : ` --app ${appId}`}`]),
    '  export PORTCULLIS_VAULT_KEY="$(openssl rand -base64 32)"',
    `  npx portcullis key create ${appId} --store file:${POLICIES} --as-env`,
    `  npx portcullis policy lint ${appId} --store file:${POLICIES}`,
  ]
}
