import type { Define } from './command.js'

export interface Entry {
  readonly summary: string
  readonly load: () => Promise<{ command: Define }>
  /**
   * Given for a command that opens a model, which may be hostile: it runs in a process of its own, for so many
   * seconds unless --time-limit says otherwise.
   */
  readonly seconds?: number
}

const hour = 3600

/** Every command, by name. Only the one that is called is loaded. */
export const commands: Readonly<Record<string, Entry>> = {
  up: {
    summary: 'start the service: dashboard, HTTP API, MQTT broker, compiler',
    load: () => import('./up.js'),
  },
  agent: { summary: 'start espalier-agent, the program of a device', load: () => import('./agent.js') },
  bench: {
    summary: 'measure latency and memory in fresh processes',
    load: () => import('./bench.js'),
    seconds: 24 * hour,
  },
  eval: {
    summary: 'accuracy of a classifier, by class',
    load: () => import('./eval.js'),
    seconds: 24 * hour,
  },
  finetune: {
    summary: 'train any classifier, from labels or a teacher',
    load: () => import('./finetune.js'),
    seconds: 14 * 24 * hour,
  },
  fit: {
    summary: 'prune to budgets of memory or arithmetic, fine-tune, measure',
    load: () => import('./fit.js'),
    seconds: 14 * 24 * hour,
  },
  inspect: {
    summary: 'describe an ONNX file: cost, groups, what cannot be pruned',
    load: () => import('./inspect.js'),
    seconds: hour / 2,
  },
  profile: {
    summary: "measure how long a model's operators take on this machine",
    load: () => import('./profile.js'),
    seconds: hour,
  },
  prune: {
    summary: 'remove whole channels, neurons and heads',
    load: () => import('./prune.js'),
    seconds: hour / 2,
  },
  sparsify: {
    summary: 'set single weights to zero, alone or n of each m',
    load: () => import('./sparsify.js'),
    seconds: 14 * 24 * hour,
  },
  ticket: {
    summary: 'the lottery ticket experiment: prune, rewind, and a control',
    load: () => import('./ticket.js'),
    seconds: 14 * 24 * hour,
  },
  models: {
    summary: 'list, show and register the models of a running service',
    load: () => import('./models.js'),
  },
  datasets: {
    summary: 'list and register the data of a running service',
    load: () => import('./datasets.js'),
  },
  compilations: {
    summary: 'compile models into variants on a running service',
    load: () => import('./compilations.js'),
  },
  variants: { summary: 'list, show and withdraw variants', load: () => import('./variants.js') },
  tokens: {
    summary: 'create, list and revoke the tokens with which devices enrol',
    load: () => import('./tokens.js'),
  },
  devices: {
    summary: 'list, show, register, assign, rotate, revoke and retire devices',
    load: () => import('./devices.js'),
  },
  keys: {
    summary: 'show, rotate, back up and restore the keys that devices trust',
    load: () => import('./keys.js'),
  },
  verify: { summary: 'say whether a signed document holds', load: () => import('./verify.js') },
  broker: { summary: "export topic permissions to another broker's form", load: () => import('./broker.js') },
}

/** The name of the command that the words of a command line call. */
export const calledBy = (args: readonly string[]): string | undefined =>
  args[0] === 'help' ? args[1] : args.find((a) => !a.startsWith('-'))
