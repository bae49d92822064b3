import { formatBytes, parseBytes } from '@espalier/shared'
import t from 'tap'

t.test('sizes are read in decimal and binary units', (t) => {
  const sizes = {
    '4MB': 4_000_000,
    '1.5MiB': 1_572_864,
    '12': 12,
    '3 kB': 3000,
    '0.5 GiB': 2 ** 29,
    '.5kb': 500,
  }
  for (const [text, bytes] of Object.entries(sizes)) t.equal(parseBytes(text), bytes, text)
  t.end()
})

t.test('what is no size is refused with the value and an example', (t) => {
  for (const text of ['4 apples', '', '-1MB', 'MB', '1e9MB', '9e99', '4MBB', '99999999 GB']) {
    t.throws(
      () => parseBytes(text),
      { code: 'SIZE_INVALID', message: new RegExp(`^'${text}' is not a size`) },
      text,
    )
  }
  t.end()
})

t.test('sizes print with three digits, and read back within half a percent', (t) => {
  t.equal(formatBytes(812), '812 B')
  t.equal(formatBytes(4_194_304), '4.19 MB')
  t.equal(formatBytes(999_600), '1.00 MB')
  t.equal(formatBytes(-2048), '-2.05 kB')
  for (const b of [1, 999, 1000, 123_456, 9_999_999, 2 ** 40]) {
    t.ok(Math.abs(parseBytes(formatBytes(b)) - b) <= b * 0.005, formatBytes(b))
  }
  t.end()
})
