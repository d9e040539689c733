import { APP_COMMANDS } from './apps/commands.ts'
import { AUDIT_COMMANDS } from './audit/commands.ts'
import type { CommandRow } from './command.ts'
import { COMPLETION_COMMAND } from './completion/command.ts'
import { CONSOLE_COMMAND } from './console/command.ts'
import { DOCTOR_COMMAND } from './doctor/command.ts'
import { INIT_COMMAND } from './init/command.ts'
import { KEY_COMMANDS } from './keys/commands.ts'
import { LIST_COMMANDS } from './lists/commands.ts'
import { POLICY_COMMANDS } from './policies/commands.ts'
import { PROBE_COMMAND } from './probe/command.ts'

/** All commands. Help, completion, docs/cli.md and tests come from this table. */
export const COMMANDS: readonly CommandRow[] = [
  INIT_COMMAND,
  ...APP_COMMANDS,
  ...KEY_COMMANDS,
  ...POLICY_COMMANDS,
  ...LIST_COMMANDS,
  ...AUDIT_COMMANDS,
  CONSOLE_COMMAND,
  PROBE_COMMAND,
  DOCTOR_COMMAND,
  COMPLETION_COMMAND,
]
