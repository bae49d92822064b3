/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { captureShapes } from '@espalier/server/compiler/analysis/index.js'
import { draw, type Seen } from '@espalier/server/compiler/drawing/index.js'
import type { Graph } from '@espalier/server/compiler/graph/index.js'
import { prune } from '@espalier/server/compiler/recipes/index.js'
import { foldBatchNorm, prunable, pruned } from '@espalier/server/compiler/surgery/index.js'
import sharp from 'sharp'
import t from 'tap'
import { launch, noBrowser } from '../../support/browser.js'
import { architectures, attention, concatSplit, invertedResidual, Net, plain } from '../../zoo/index.js'

const seen = async (graph: Graph): Promise<Seen> => ({ graph, shapes: await captureShapes(graph) })
const halved = async (graph: Graph) => (await prune(graph, { keep: 0.5 })).graph
const count = (svg: string, pattern: RegExp) => [...svg.matchAll(pattern)].length
/** Parses the picture, as libxml2 does, and renders it. @throws if it is not well-formed */
const rendered = (svg: string) => sharp(Buffer.from(svg)).png().toBuffer({ resolveWithObject: true })

const make = (name: string): Graph => {
  const found = architectures.find((a) => a.name === name)
  if (!found) throw new Error(`the zoo has no ${name}`)
  return found.make()
}

/** Names that break markup, lines and boxes. */
function hostile(): Graph {
  const graph = concatSplit()
  const names = [
    '</title><script>alert(1)</script>',
    '"\'&<>]]>&amp;\u0000\u001b[2J\ud800',
    'W'.repeat(5000),
    '重み'.repeat(400),
    '\u202egnp.exe\n\n\nrows',
    '',
  ]
  const nodes = graph.nodes.map((n, i) => ({ ...n, name: `${names[i % names.length]}${i}` }))
  const inputs = graph.inputs.map((v) => ({ ...v, name: `<${'x'.repeat(300)}>` }))
  const renamed = nodes.map((n) => ({ ...n, inputs: n.inputs.map((i) => (i === 'x' ? inputs[0].name : i)) }))
  return graph.with({ nodes: renamed, inputs })
}

t.test('layers are boxes with what they cost; small operators are folded into them', async (t) => {
  const graph = plain()
  const svg = await draw('plain', await seen(graph))
  await rendered(svg)
  t.match(svg, /<title id="title">plain: 3 layers with 20,766 MACs<\/title>/)
  t.equal(count(svg, /class="box t\d" x="[\d.]+" y="[\d.]+" width="224"/g), 3)
  t.match(svg, /Conv 3×3 Conv1\ngives \[n, 8, 8, 8\]\n8 channels\n13,824 MACs/)
  t.match(svg, /then BatchNormalization, Relu, MaxPool/)
  t.equal(svg, await draw('plain', await seen(graph)), 'the same network gives the same picture')
})

t.test('branches meet in joins, an activation of its own layer is none', async (t) => {
  const svg = await draw('x', await seen(invertedResidual()))
  const joins = [...svg.matchAll(/>(Add|Mul|Concat)<\/text>/g)].map(([, op]) => op)
  t.same(joins, ['Mul', 'Add'], 'the gate and the residual; hard-swish in primitives is folded')
})

t.test('after pruning each bar has what is kept and what went', async (t) => {
  const graph = plain()
  const svg = await draw('x', await seen(graph), await seen(await halved(graph)))
  await rendered(svg)
  t.match(svg, />8 → 4<\/text>/)
  const bars = [
    ...svg.matchAll(/<rect class="(kept|removed)" x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="6"\/>/g),
  ]
  t.same(
    bars.slice(2).map(([, kind]) => kind),
    ['kept', 'removed', 'kept', 'removed', 'kept'],
    'after the legend, two layers lost channels and the classifier none',
  )
  t.equal(bars[2][2], bars[3][2], 'half of them')
  t.notMatch(svg, /class="lost"/)
})

t.test('a layer is found again after its normalisation was folded into it', async (t) => {
  const graph = plain()
  t.notMatch(await draw('x', await seen(graph), await seen(foldBatchNorm(graph))), /class="lost"/)
})

t.test('a block that went is struck out', async (t) => {
  const graph = make('ResNet basic')
  const subject = await prunable(graph)
  const [block] = subject.coupling.blocks
  const svg = await draw('x', await seen(graph), await seen(pruned(subject, [block])))
  await rendered(svg)
  t.equal(count(svg, /<g class="lost">/g), 3, 'two convolutions and their sum')
  t.equal(count(svg, /class="strike"/g), 3)
  t.match(svg, /removed as a whole/)
})

t.test('hostile names are text, and nothing is fetched or run', async (t) => {
  const graph = hostile()
  const svg = await draw('<b>&"title', await seen(graph), await seen(graph))
  await rendered(svg)
  t.notMatch(svg, /<script|<b>|href|url\(|@import|\son\w+=/)
  t.ok(svg.length < 40_000, `${svg.length} characters, however long the names are`)
})

t.test(
  'no text overlaps another or leaves the picture, in light and dark',
  { skip: noBrowser },
  async (t) => {
    const browser = await launch()
    t.teardown(() => browser.close())
    const deep = new Net('deep')
    let x = deep.input('x', ['n', 4, 4, 4])
    for (let i = 0; i < 220; i++) {
      const y = deep.op('Relu', [deep.conv(x, 4, 4, { k: 1 })])
      x = i % 3 === 0 ? deep.op('Add', [x, y]) : y
    }
    const graphs = [hostile(), attention(), make('MobileNet 3'), make('GPT'), make('U-Net'), make('YOLO CSP')]
    for (const graph of [...graphs, deep.build(deep.head(x, 4))]) {
      const one = await seen(graph)
      const svg = await draw(graph.name, one, one)
      for (const colorScheme of ['light', 'dark'] as const) {
        const page = await browser.newPage({ colorScheme })
        await page.setContent(svg)
        const found = await page.evaluate(() => {
          const box = (e: Element) => e.getBoundingClientRect()
          const picture = box(document.querySelector('svg')!)
          const texts = [...document.querySelectorAll('svg text')].map((e) => ({
            said: e.textContent,
            at: box(e),
          }))
          const beyond = texts.filter(({ at }) => at.left < picture.left || at.right > picture.right)
          const meet = texts.flatMap((a, i) =>
            texts
              .slice(i + 1)
              .filter(
                ({ at }) =>
                  at.left < a.at.right &&
                  a.at.left < at.right &&
                  at.top < a.at.bottom - 1 &&
                  a.at.top < at.bottom - 1,
              )
              .map((b) => `${a.said} | ${b.said}`),
          )
          return { texts: texts.length, beyond: beyond.map((b) => b.said), meet }
        })
        t.ok(found.texts > 10)
        t.same(found.beyond, [], `${graph.name}, ${colorScheme}`)
        t.same(found.meet, [], `${graph.name}, ${colorScheme}`)
        await page.close()
      }
    }
  },
)

t.test('of a network of very many layers, what repeats is drawn once and counted', async (t) => {
  const net = (blocks: number, inner: number) => {
    const n = new Net('deep')
    let x = n.conv(n.input('x', ['n', 3, 4, 4]), 3, 4)
    for (let i = 0; i < blocks; i++)
      x = n.op('Add', [x, n.conv(n.op('Relu', [n.conv(x, 4, inner)]), inner, 4)])
    return n.build(n.head(x, 4))
  }
  const graph = net(520, 6)
  const svg = await draw('x', await seen(graph))
  await rendered(svg)
  t.match(svg, /<title id="title">x: 1042 layers/)
  t.equal(
    count(svg, /class="box t\d" x="[\d.]+" y="[\d.]+" width="224"/g),
    4,
    'two of the blocks, one before and after',
  )
  t.equal(count(svg, /× 520<\/text>/g), 3, 'two convolutions and their sum')
  t.match(svg, /520 in a row/)

  const both = await draw('x', await seen(graph), await seen(net(520, 3)))
  t.match(both, />6 → 3<\/text>/)
  t.notMatch(both, /class="lost"/)
})

t.test('a network of very many layers of which none repeats is refused', async (t) => {
  const n = new Net('irregular')
  let [x, from] = [n.input('x', ['n', 3, 2, 2]), 3]
  for (let i = 0; i < 1600; i++) {
    const to = 1 + (((i * i * 7919) % 1607) % 41)
    x = n.conv(x, from, to, { k: 1 })
    from = to
  }
  await t.rejects(draw('x', await seen(n.build(x))), {
    code: 'MODEL_UNSUPPORTED',
    message: /too large to draw/,
  })
})
