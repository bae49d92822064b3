import { type FrontierPoint, frontierRows } from '../compiler/frontier.js'
import { table } from './output.js'

/** What each budget of memory would buy, and each further MB, for people. */
export const frontierTable = (points: readonly FrontierPoint[]): string =>
  [
    'What each further MB of memory would buy, as expected:',
    table(frontierRows(points), [
      ['memory', (r) => r[0]],
      ['saliency', (r) => r[1]],
      ['MACs', (r) => r[2]],
      ['parameters', (r) => r[3]],
      ['saliency for a further MB', (r) => r[4]],
    ]),
  ].join('\n')
