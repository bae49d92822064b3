import processOnSpawn from 'process-on-spawn'

/**
 * Loaded into every test (.taprc): what a test starts is started as a user starts it. Otherwise tap hands its own
 * module hooks down to each child and its children, through NODE_OPTIONS set anew at every spawn; they make a start
 * slow and what is measured large.
 */
processOnSpawn.addListener((child) => {
  const { NODE_OPTIONS: _, ...env } = child.env
  child.env = env
})
