import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A measuring child over a runtime and a clock that pretend, in a real process with its protocol: the file of a "model"
 * holds how many ms a query takes on a cold machine, or how many in each setup, and each query of any process makes all that follow slower by
 * `hotter` of that. Nothing depends on how busy the real machine is.
 * @returns the script
 */
export function pretendedChild(folder: string, hotter: number): URL {
  const script = join(folder, 'child.mjs')
  writeFileSync(
    script,
    `import { appendFileSync, readFileSync, statSync } from 'node:fs'
import { serveMeasuring } from '@espalier/shared/measure/child.js'

const queries = ${JSON.stringify(join(folder, 'queries'))}
let now = 0
performance.now = () => now
const session = (ms) => ({
  inputMetadata: [],
  async run() {
    appendFileSync(queries, '.')
    now += ms * (1 + ${hotter} * statSync(queries).size)
    return {}
  },
  async release() {},
})
serveMeasuring({
  env: { versions: { common: '1' } },
  Tensor: class {},
  InferenceSession: {
    create: async (model, { intraOpNumThreads, executionProviders = ['cpu'] }) => {
      const ms = typeof model === 'string' ? JSON.parse(readFileSync(model, 'utf8')) : 0
      const own = typeof ms === 'number' ? ms : ms[\`\${executionProviders[0]} \${intraOpNumThreads}\`]
      if (own === undefined) throw new Error('no kernel for this network')
      return session(own)
    },
  },
}, 'pretended')
`,
  )
  return new URL(`file://${script}`)
}
