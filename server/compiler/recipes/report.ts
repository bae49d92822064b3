import { formatBytes } from '@espalier/shared'
import { frontierRows } from '../frontier.js'
import type { FitOptions, FitResult, VariantResult } from './options.js'

/** What was done and what came of it, in Markdown: variants, what went where, accuracy by class, how to repeat it. */
export function markdown(
  { dense, variants, frontier, seconds }: Omit<FitResult, 'report'>,
  options: FitOptions,
  criterion: string,
): string {
  const percent = (v: number | null) => (v === null ? '–' : `${(100 * v).toFixed(2)} %`)
  const ms = (v: number | null) => (v === null ? '–' : v.toFixed(2))
  const count = (v: number) => Math.round(v).toLocaleString('en')
  const row = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
  const head = (cells: readonly string[]) => [
    row(cells),
    row(cells.map((_, i) => (i === 0 ? '---' : '---:'))),
  ]
  const lines = [
    `# ${variants.length} variants of ${options.model}`,
    '',
    ...head([
      '',
      'budget',
      'bound by',
      'memory',
      'predicted',
      'MACs',
      'parameters',
      'file',
      'p50 ms',
      'top-1 pruned',
      'top-1',
      'agreement',
    ]),
    row([
      'dense',
      '–',
      '–',
      formatBytes(dense.measuredRamBytes),
      formatBytes(dense.predictedRamBytes),
      count(dense.macs),
      count(dense.params),
      formatBytes(dense.fileBytes),
      ms(dense.p50Ms),
      '–',
      percent(dense.top1),
      '–',
    ]),
    ...variants.map((v) =>
      row([
        v.name,
        v.memoryBudgetBytes === null ? '–' : formatBytes(v.memoryBudgetBytes),
        v.bound ?? '–',
        formatBytes(v.measuredRamBytes),
        formatBytes(v.predictedRamBytes),
        count(v.macs),
        count(v.params),
        formatBytes(v.fileBytes),
        ms(v.p50Ms),
        percent(v.top1Pruned),
        percent(v.top1),
        percent(v.agreement),
      ]),
    ),
    '',
    `The reference, the dense network given the same recipe: ${dense.top1Reference === null && dense.lossReference != null ? `loss ${dense.lossReference.toPrecision(4)}` : `top-1 ${percent(dense.top1Reference)}`}.`,
    ...(dense.top1 === null && dense.loss != null
      ? [
          `Loss: dense ${dense.loss.toPrecision(4)}, ${variants.map((v) => `${v.name} ${v.loss?.toPrecision(4)}`).join(', ')}.`,
        ]
      : []),
    `Accuracy on ${dense.n} samples of ${options.eval ?? `what was held out of ${options.data}`}.`,
    `Memory is what the model adds to the runtime's base, the largest of five fresh processes. With one channel in`,
    `every group and no residual branch this network needs ${formatBytes(dense.floorRamBytes)}: pruning cannot go below that.`,
    ...variants.flatMap((v) =>
      v.unused ? [`${v.name} uses less than 90 % of its budget: ${v.unused}.`] : [],
    ),
    '',
    ...stages(variants, head, row, percent),
    '## What each further MB buys',
    '',
    ...head(['memory', 'saliency', 'MACs', 'parameters', 'saliency for a further MB']),
    ...frontierRows(frontier).map(row),
    '',
    'Expected of this network, in memory alone and with the rounding of this run; saliency is 0 % at the floor.',
    '',
    '![What each budget buys](frontier.svg)',
    '',
    '## What was kept',
    '',
    ...head(['group', 'dense', ...variants.map((v) => v.name)]),
    ...(variants[0]?.groups ?? []).map((g, i) =>
      row([g.label, g.of, ...variants.map((v) => v.groups[i].kept)]),
    ),
    ...(variants[0]?.blocks ?? []).map((b, i) =>
      row([
        `residual branch into ${b.label}`,
        'there',
        ...variants.map((v) => (v.blocks[i].kept ? 'kept' : 'gone')),
      ]),
    ),
    '',
    ...byClass(dense.classes, variants, head, row, percent),
    '## How to repeat it',
    '',
    ...variants.map((v) => `- ${v.name}: ${v.recipe}`),
    '',
    '```sh',
    command(options, criterion),
    '```',
    '',
    `It took ${Math.round(seconds)} s.`,
    '',
  ]
  return lines.join('\n')
}

/** What each step after pruning brought. */
function stages(
  variants: readonly VariantResult[],
  head: (cells: readonly string[]) => string[],
  row: (cells: readonly (string | number)[]) => string,
  percent: (v: number | null) => string,
): string[] {
  return [
    '## What brought it back',
    '',
    'Top-1 after pruning alone, with the statistics of normalisations set anew, with weights repaired without labels, and',
    'at the end. The error is that of the outputs against the dense network, as a share of their variance.',
    '',
    ...head([
      '',
      'pruned',
      'statistics',
      'repaired',
      'at the end',
      'error before repair',
      'after',
      'seconds',
    ]),
    ...variants.map(({ name, top1, repair: r }) =>
      row([
        r.kept ? name : `${name} (repair not kept)`,
        ...[r.top1Pruned, r.top1Statistics, r.top1Repaired, top1, r.errorBefore, r.errorAfter].map(percent),
        r.seconds.toFixed(1),
      ]),
    ),
    '',
  ]
}

function byClass(
  classes: FitResult['dense']['classes'],
  variants: readonly VariantResult[],
  head: (cells: readonly string[]) => string[],
  row: (cells: readonly (string | number)[]) => string,
  percent: (v: number | null) => string,
): string[] {
  if (classes.length === 0) return []
  const share = (c: { n: number; right: number } | undefined) => percent(c && c.n > 0 ? c.right / c.n : null)
  return [
    '## Accuracy by class',
    '',
    ...head(['class', 'samples', 'dense', ...variants.map((v) => v.name)]),
    ...classes.map((c, i) => row([c.name, c.n, share(c), ...variants.map((v) => share(v.classes[i]))])),
    '',
  ]
}

/** The command that repeats a run. */
function command(
  { model, out, data, eval: judge, variants, load = {}, ...rest }: FitOptions,
  criterion: string,
): string {
  const quote = (text: string) => (/^[\w./:,=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)
  const given = (name: string, values: readonly (number | string | undefined)[] | undefined) => {
    const said = values?.filter((v) => v !== undefined) ?? []
    return said.length > 0 ? [`--${name}`, ...said.map(String)] : []
  }
  const { lr, optimizer, batch, shift, flip, weightDecay, teacherShare, temperature } = rest.training ?? {}
  return [
    ...['espalier', 'fit', model],
    ...given(
      'memory',
      variants.map((v) => v.memoryBytes),
    ),
    ...given(
      'macs',
      variants.map((v) => v.macs),
    ),
    ...given(
      'params',
      variants.map((v) => v.params),
    ),
    ...given(
      'artifact',
      variants.map((v) => v.artifactBytes),
    ),
    ...given(
      'latency',
      variants.map((v) => v.latencyMs),
    ),
    ...given('profile', [rest.profile]),
    ...given('data', [data]),
    ...given('eval', [judge]),
    ...given('scale', [load.scale]),
    ...given('mean', load.mean),
    ...given('std', load.std),
    ...given('layout', [load.layout]),
    ...given(
      'shape',
      Object.entries(load.shapes ?? {}).map(([name, dims]) => `${name}=${dims.join(',')}`),
    ),
    ...given('recipe', [rest.recipe && `${out}/recipe.json`]),
    ...given('criterion', [criterion]),
    ...given('round', [rest.round]),
    ...given('depth', [rest.depth]),
    ...given('epochs', [rest.epochs]),
    ...given('seed', [rest.seed]),
    ...given('lr', [lr]),
    ...given('optimizer', [optimizer]),
    ...given('batch', [batch]),
    ...given('weight-decay', [weightDecay]),
    ...given('teacher-share', [teacherShare]),
    ...given('temperature', [temperature]),
    ...given('shift', [shift]),
    ...(flip ? ['--flip'] : []),
    ...given('o', [out]),
  ]
    .map((word) => (word === '--o' ? '-o' : quote(word)))
    .join(' ')
}
