import { leftWhole, MICROSOFT } from './define.js'

const drawn = 'it draws random numbers, which no index owns'
const body = 'what enters the body of a control-flow operator is left whole'
const chosen = 'what it gives is chosen by value'
const spectrum = 'a spectrum mixes positions'
const sequence = 'sequences and optional values are not followed'
const text = 'it works on text'
const loss = 'a loss compares all that it is given'

/** Operators in which no index can be followed, each with its reason; what touches them is left whole. */
export const unfollowed = [
  ...[
    'Bernoulli',
    'Multinomial',
    'RandomNormal',
    'RandomNormalLike',
    'RandomUniform',
    'RandomUniformLike',
  ].map((op) => leftWhole(op, drawn)),
  ...['If', 'Loop', 'Scan', 'SequenceMap'].map((op) => leftWhole(op, body)),
  ...['NonMaxSuppression', 'NonZero', 'Unique'].map((op) => leftWhole(op, chosen)),
  ...['DFT', 'MelWeightMatrix', 'STFT', 'BlackmanWindow', 'HammingWindow', 'HannWindow'].map((op) =>
    leftWhole(op, spectrum),
  ),
  ...[
    'Optional',
    'OptionalGetElement',
    'OptionalHasElement',
    'SequenceAt',
    'SequenceConstruct',
    'SequenceEmpty',
    'SequenceErase',
    'SequenceInsert',
    'SequenceLength',
    'SplitToSequence',
    'ConcatFromSequence',
  ].map((op) => leftWhole(op, sequence)),
  ...['RegexFullMatch', 'StringConcat', 'StringNormalizer', 'StringSplit', 'TfIdfVectorizer'].map((op) =>
    leftWhole(op, text),
  ),
  ...['NegativeLogLikelihoodLoss', 'SoftmaxCrossEntropyLoss'].map((op) => leftWhole(op, loss)),
  leftWhole('Constant', 'strings and sparse tensors are not followed'),
  leftWhole('BitCast', 'elements are taken apart into bits'),
  leftWhole('Col2Im', 'blocks of columns become overlapping positions'),
  leftWhole('Det', 'a determinant mixes both dimensions of a matrix'),
  leftWhole('EyeLike', 'the diagonal of an identity matrix ties positions'),
  leftWhole('MeanVarianceNormalization', 'zeroed indices would be divided by a deviation of zero'),
  leftWhole('ImageDecoder', 'it decodes a file'),
  leftWhole('EmbedLayerNormalization', 'a normalisation takes its statistics over its embeddings', MICROSOFT),
  leftWhole('BeamSearch', chosen, MICROSOFT),
  leftWhole('GreedySearch', chosen, MICROSOFT),
  leftWhole('Sampling', drawn, MICROSOFT),
]
