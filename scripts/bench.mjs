// npm run bench [-- NAME [--option value]…]: runs one benchmark of test/bench and prints its JSON object; lists them without a name.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { requireNode } from './prerequisites.mjs'
import { build, install, root } from './steps.mjs'

/** `--seconds 5 --quick` as `{ seconds: '5', quick: 'true' }`. */
function parseOptions(words) {
  const options = {}
  for (let i = 0; i < words.length; i++) {
    const [, name, value] = words[i].match(/^--([a-z][\w-]*)(?:=(.*))?$/i) ?? []
    if (name === undefined) throw new Error(`expected --option [value], got ${words[i]}`)
    const next = words[i + 1]
    if (value !== undefined) options[name] = value
    else if (next !== undefined && !next.startsWith('--')) options[name] = words[++i]
    else options[name] = 'true'
  }
  return options
}

async function main([name, ...rest]) {
  const folder = join(root, 'test/bench')
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3))
  const load = (bench) => import(pathToFileURL(join(root, '.build/test/bench', `${bench}.js`)).href)
  if (name === undefined) {
    const width = Math.max(0, ...names.map((bench) => bench.length))
    for (const bench of names) console.log(`${bench.padEnd(width)}  ${(await load(bench)).about}`)
    return 0
  }
  if (!names.includes(name)) {
    console.error(`no benchmark is named ${name}; there are: ${names.join(', ')}`)
    return 2
  }
  let options
  try {
    options = parseOptions(rest)
  } catch (error) {
    console.error(error.message)
    return 2
  }
  console.log(JSON.stringify(await (await load(name)).default(options)))
  return 0
}

requireNode()
await install()
await build()
process.exitCode = await main(process.argv.slice(2))
