import { table } from '@espalier/server/cli/output.js'
import t from 'tap'

t.test('numbers stand to the right, names to the left, and what is not known tells neither', (t) => {
  const rows = [
    { name: 'small', group: null, size: '3.97 MB', count: null },
    { name: 'the large one', group: null, size: null, count: 12_345 },
  ]
  const text = table(rows, [
    ['NAME', (r) => r.name],
    ['GROUP', (r) => r.group],
    ['SIZE', (r) => r.size],
    ['COUNT', (r) => r.count],
  ])
  t.same(text.split('\n'), [
    'NAME           GROUP     SIZE  COUNT',
    'small          –      3.97 MB      –',
    'the large one  –            –  12345',
  ])
  t.end()
})

t.test('a table of nothing is its titles', (t) => {
  t.equal(
    table(
      [],
      [
        ['NAME', () => ''],
        ['SIZE', () => 1],
      ],
    ),
    'NAME  SIZE',
  )
  t.end()
})
