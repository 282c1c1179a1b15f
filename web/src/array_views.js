/**
 * Views of three-dimensional arrays, as in numpy: the values, and how to walk through them.
 *
 * A view is {values, shape, strides, offset}. Voxel (i, j, k) is values[offset + i * strides[0] + ...].
 */

/** A view of values in NIfTI's order: the first index changes fastest. */
export function firstIndexFastest(values, shape) {
  return { values, shape, strides: [1, shape[0], shape[0] * shape[1]], offset: 0 };
}

/** A view of values in the order of numpy and ONNX: the last index changes fastest. */
export function lastIndexFastest(values, shape) {
  return { values, shape, strides: [shape[1] * shape[2], shape[2], 1], offset: 0 };
}

/** A copy of a view's values in NIfTI's order. */
export function copyFirstIndexFastest(view, ArrayType = view.values.constructor) {
  return copy(view, [2, 1, 0], ArrayType);
}

/** A copy of a view's values in the order of numpy and ONNX. */
export function copyLastIndexFastest(view, ArrayType = view.values.constructor) {
  return copy(view, [0, 1, 2], ArrayType);
}

function copy({ values, shape, strides, offset }, [slow, middle, fast], ArrayType) {
  const copied = new ArrayType(shape[0] * shape[1] * shape[2]);
  let to = 0;
  for (let i = 0; i < shape[slow]; i++) {
    for (let j = 0; j < shape[middle]; j++) {
      let from = offset + i * strides[slow] + j * strides[middle];
      for (let k = 0; k < shape[fast]; k++, from += strides[fast]) copied[to++] = values[from];
    }
  }
  return copied;
}
