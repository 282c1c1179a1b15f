/** Small matrices, as arrays of rows. The steps are those of numpy and LAPACK, so that rounding is alike. */

export const identity = (size) => Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => +(i === j)));

export const transpose = (matrix) => matrix[0].map((_, column) => matrix.map((row) => row[column]));

export const multiply = (left, right) =>
  left.map((row) => right[0].map((_, column) => row.reduce((sum, value, k) => sum + value * right[k][column], 0)));

/** The upper left 3 x 3 part of an affine: its columns are the axes of the voxels. */
export const axesOf = (affine) => affine.slice(0, 3).map((row) => row.slice(0, 3));

/** The lengths of the voxels' edges in mm. */
export const voxelSizes = (affine) => transpose(axesOf(affine)).map((axis) => Math.sqrt(axis.reduce((sum, one) => sum + one * one, 0)));

/** The volume of one voxel in mm³. */
export function voxelMm3(affine) {
  const [[a, b, c], [d, e, f], [g, h, i]] = axesOf(affine);
  return Math.abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g));
}

/** The X for which matrix X = right, by LU decomposition with row pivoting. */
export function solve(matrix, right) {
  const size = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...right[i]]);
  for (let pivot = 0; pivot < size; pivot++) {
    let best = pivot;
    for (let i = pivot + 1; i < size; i++) if (Math.abs(rows[i][pivot]) > Math.abs(rows[best][pivot])) best = i;
    [rows[pivot], rows[best]] = [rows[best], rows[pivot]];
    for (let i = pivot + 1; i < size; i++) {
      const factor = rows[i][pivot] / rows[pivot][pivot];
      for (let j = pivot + 1; j < rows[i].length; j++) rows[i][j] -= factor * rows[pivot][j];
    }
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let j = size; j < rows[i].length; j++) {
      for (let k = i + 1; k < size; k++) rows[i][j] -= rows[i][k] * rows[k][j];
      rows[i][j] /= rows[i][i];
    }
  }
  return rows.map((row) => row.slice(size));
}

export const inverse = (matrix) => solve(matrix, identity(matrix.length));

/** The lower triangular L for which L times its transpose is the matrix, which must be symmetric and positive. */
export function cholesky(matrix) {
  const lower = matrix.map((row) => row.map(() => 0));
  for (let j = 0; j < matrix.length; j++) {
    for (let i = j; i < matrix.length; i++) {
      let rest = matrix[i][j];
      for (let k = 0; k < j; k++) rest -= lower[i][k] * lower[j][k];
      lower[i][j] = i === j ? Math.sqrt(rest) : rest / lower[j][j];
    }
  }
  return lower;
}

/** The orthogonal matrix that is nearest to a matrix (the polar decomposition), by Newton's method. */
export function nearestRotation(matrix) {
  let rotation = matrix;
  for (let step = 0; step < 20; step++) {
    const other = transpose(inverse(rotation));
    rotation = rotation.map((row, i) => row.map((value, j) => (value + other[i][j]) / 2));
  }
  return rotation;
}
