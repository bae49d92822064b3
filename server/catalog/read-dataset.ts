import { serve } from '../child/index.js'
import { type DataFacts, describeData } from '../compiler/data/index.js'

/** Runs in a child process: reads data that nobody vouches for, and says what they are. */
serve(({ spec }: { spec: string }): Promise<DataFacts> => describeData(spec))
