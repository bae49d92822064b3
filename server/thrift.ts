import { setFlagsFromString } from 'node:v8'

// Bursts of short-lived objects, as when a thousand devices connect, make V8 grow the space for young ones to 3 × 16 MiB, and
// keep it. Where that does not grow, the service peaks some 20 MiB lower, for the same time of the processor.
setFlagsFromString('--semi-space-growth-factor=1')
