const each = (operators: readonly string[], reason: string) =>
  Object.fromEntries(operators.map((o) => [o, reason]))

const microsoft = (operators: readonly string[]) => operators.map((o) => `com.microsoft.${o}`)

/** Operators that gradients end at by nature, whatever they are given, and why. */
export const flatOperators: Readonly<Record<string, string>> = {
  ...each(['Ceil', 'Floor', 'Round', 'Sign', 'Hardmax'], 'a step: its slope is zero wherever it has one'),
  ...each(
    [
      ...['ArgMax', 'ArgMin', 'NonZero', 'IsInf', 'IsNaN', 'Not', 'And', 'Or', 'Xor', 'NonMaxSuppression'],
      ...['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'RegexFullMatch'],
      ...['BitShift', 'BitwiseAnd', 'BitwiseNot', 'BitwiseOr', 'BitwiseXor', 'TfIdfVectorizer'],
    ],
    'it gives whole numbers or truth values',
  ),
  ...each(
    [
      ...['Shape', 'Size', 'ConstantOfShape', 'EyeLike', 'Constant', 'Range', 'MelWeightMatrix'],
      ...[
        'BlackmanWindow',
        'HammingWindow',
        'HannWindow',
        'OptionalHasElement',
        'SequenceEmpty',
        'SequenceLength',
      ],
    ],
    'it gives sizes, or fills a shape with numbers',
  ),
  ...each(
    [
      ...['Bernoulli', 'Multinomial', 'RandomNormal', 'RandomUniform'],
      ...['RandomNormalLike', 'RandomUniformLike'],
    ],
    'it draws random numbers',
  ),
  ...each(
    [
      ...['ConvInteger', 'MatMulInteger', 'QLinearConv', 'QLinearMatMul', 'DynamicQuantizeLinear'],
      ...['QuantizeLinear', 'DequantizeLinear', 'BitCast'],
      ...microsoft([
        'QuantizeLinear',
        'DequantizeLinear',
        'QGemm',
        'QLinearAdd',
        'QLinearMul',
        'QLinearConcat',
      ]),
      ...microsoft(['QLinearAveragePool', 'QLinearGlobalAveragePool', 'QLinearLeakyRelu', 'QLinearSigmoid']),
    ],
    'it works on quantised integers: train the network before it is quantised',
  ),
  ...each(
    ['StringConcat', 'StringNormalizer', 'StringSplit', 'ImageDecoder'],
    'it works on text or encoded images',
  ),
}

/** Operators that a gradient would lead through, but none is known; why, for whoever meets one. */
export const withoutGradient: Readonly<Record<string, string>> = {
  ...each(['If', 'Loop', 'Scan', 'SequenceMap'], 'it runs a graph of its own'),
  ...each(
    [
      ...['Optional', 'OptionalGetElement', 'SequenceAt', 'SequenceConstruct', 'SequenceErase'],
      ...['SequenceInsert', 'SplitToSequence', 'ConcatFromSequence'],
    ],
    'it handles sequences of tensors',
  ),
  ...each(['DFT', 'STFT'], 'it works on complex numbers'),
  ...each(
    ['NegativeLogLikelihoodLoss', 'SoftmaxCrossEntropyLoss'],
    'it is a loss: give the network without it',
  ),
  ...each(
    microsoft(['BeamSearch', 'GreedySearch', 'Sampling']),
    'it generates text with a decoder of its own: give that decoder',
  ),
  ...each(
    microsoft(['QAttention', 'MatMulNBits', 'GatherBlockQuantized', 'DynamicQuantizeLSTM']),
    'its weights are quantised',
  ),
  ...each(['TensorScatter'], 'it writes into a cache, which training has no use for'),
  ...each(['MaxRoiPool', 'RoiAlign', 'DeformConv'], 'it samples maps at places that the data say'),
  ...each(
    ['Unique', 'Col2Im', 'Det', 'CumProd', ...microsoft(['EmbedLayerNormalization'])],
    'nobody has written its rule',
  ),
}
