import type { CommandRow } from '../command.ts'

export const COMPLETION_COMMAND: CommandRow = {
  name: 'completion',
  summary: 'writes a script that completes commands and options in a shell',
  about:
    'bash: put `source <(portcullis completion bash)` into ~/.bashrc. zsh: `portcullis completion zsh > "${fpath[1]}/_portcullis"`. ' +
    'fish: `portcullis completion fish > ~/.config/fish/completions/portcullis.fish`.',
  positionals: 'SHELL',
  options: {},
  examples: ['portcullis completion bash'],
  load: async () => (await import('./scripts.ts')).completion,
}
