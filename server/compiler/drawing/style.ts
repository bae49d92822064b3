/** Parts of the costliest layer's MACs from which a layer is drawn in the next tint. */
export const tints = [0.05, 0.2, 0.4, 0.7] as const

const light = {
  page: '#fbfaf7',
  ink: '#1b2421',
  soft: '#56625d',
  line: '#8f9a94',
  leaf: '#1f6b4d',
  gone: '#c9cdc6',
}
const dark = {
  page: '#14181a',
  ink: '#e6ebe7',
  soft: '#a3afa9',
  line: '#65706b',
  leaf: '#7cc9a4',
  gone: '#3b4446',
}
const lightTints = ['#ffffff', '#fdf0d5', '#fbdfae', '#f7c886', '#f0ab5f']
const darkTints = ['#1c2224', '#33291a', '#4a3718', '#644617', '#7d5415']

const rules = (c: typeof light, heat: readonly string[]) =>
  [
    `.page{fill:${c.page}}`,
    `.ink{fill:${c.ink}}`,
    `.soft{fill:${c.soft}}`,
    `.box{stroke:${c.line}}`,
    `.edge{stroke:${c.line}}`,
    `.tip{fill:${c.line}}`,
    `.kept{fill:${c.leaf}}`,
    `.removed{fill:${c.gone}}`,
    `.strike{stroke:${c.ink}}`,
    `.round{fill:${c.page}}`,
    ...heat.map((fill, i) => `.t${i}{fill:${fill}}`),
  ].join('')

/** The one style sheet of a drawing. Light unless the reader's screen is dark; nothing is fetched from elsewhere. */
export const style =
  `svg{color-scheme:light dark}` +
  `text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;font-variant-numeric:tabular-nums}` +
  `.name{font:11px ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}` +
  `.title{font-size:16px;font-weight:600}.end{text-anchor:end}.mid{text-anchor:middle}` +
  `.edge{fill:none;stroke-width:1.2}.box{stroke-width:1}.strike{stroke-width:1.4}` +
  `${rules(light, lightTints)}@media (prefers-color-scheme:dark){${rules(dark, darkTints)}}` +
  `.edge.lost{stroke-dasharray:3 3}.lost .box{stroke-dasharray:4 3}.lost text{opacity:.65}`
