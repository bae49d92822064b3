import { allocate, costWithout, floor } from '@espalier/server/compiler/budget/index.js'
import { criteria } from '@espalier/server/compiler/saliency/index.js'
import { prunable } from '@espalier/server/compiler/surgery/index.js'
import t from 'tap'
import { architectures } from '../../zoo/index.js'

t.test('a memory budget takes what lowers the peak, and leaves the rest of the network', async (t) => {
  const graph = architectures.find(({ name }) => name === 'U-Net')?.make()
  if (!graph) throw new Error('the zoo has no U-Net')
  const { coupling } = await prunable(graph)
  const scores = criteria.l1(coupling)
  const whole = costWithout(coupling, [])
  const least = floor(coupling).footprint.predictedRamBytes
  const memoryBytes = (least + whole.predictedRamBytes) / 2
  const { footprint } = allocate(coupling, scores, { memoryBytes }, { round: 4 })
  t.ok(footprint.predictedRamBytes <= memoryBytes)
  t.ok(footprint.peakActivationBytes < 0.8 * whole.peakActivationBytes)
  let [fits, exceeds] = [0, whole.params]
  for (let i = 0; i < 12; i++) {
    const params = (fits + exceeds) / 2
    const blind = allocate(coupling, scores, { params }, { round: 4, orFloor: true }).footprint
    if (blind.predictedRamBytes <= memoryBytes) fits = params
    else exceeds = params
  }
  t.ok(
    footprint.params > 2.5 * fits,
    `${footprint.params} of ${whole.params} parameters; ${fits} where only they are looked at`,
  )
})
