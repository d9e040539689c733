import type { CommandRow } from '../command.ts'

export const COMPLETION_COMMAND: CommandRow = {
  name: 'completion',
  summary: 'prints a script that completes commands and options in your shell',
  about:
    'bash: add `source <(portcullis completion bash)` to ~/.bashrc. zsh: `portcullis completion zsh > "${fpath[1]}/_portcullis"`. ' +
    'fish: `portcullis completion fish > ~/.config/fish/completions/portcullis.fish`.',
  positionals: 'SHELL',
  options: {},
  examples: ['portcullis completion bash'],
  load: async () => (await import('./scripts.ts')).completion,
}
