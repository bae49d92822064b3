import { setFlagsFromString } from 'node:v8'

// The agent waits for most of its life. Machine code that V8 would make of its busy moments stays in memory for
// good: without the optimising compiler it rests at some 6 MiB less, and hashing and copying are native anyway.
setFlagsFromString('--no-opt')
