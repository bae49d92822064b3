// Loaded into an agent before its own code: its clock is off by as many ms as the file named by CLOCK_OFFSET says.
import { readFileSync } from 'node:fs'

const real = Date.now
let [offset, readAt] = [0, 0]
Date.now = () => {
  const now = real()
  if (now - readAt > 50) {
    readAt = now
    try {
      offset = Number(readFileSync(process.env.CLOCK_OFFSET, 'utf8')) || 0
    } catch {
      offset = 0
    }
  }
  return now + offset
}
