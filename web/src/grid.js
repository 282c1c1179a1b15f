/**
 * The affine for a student with a window. This is runner/student_runner/grid.py in JavaScript; that file says why the
 * affine is needed, and names the steps of MONAI that it follows.
 */
import { axesOf, cholesky, inverse, multiply, solve, transpose, voxelSizes } from "./matrices.js";

const NEAR_MM = 1e-3;
const MARGIN = 1e-6;

/** The affine with which the graph makes a grid of the same shape as MONAI, for a volume in RAS. */
export function affineFor(affine, shape, halfPixelMm) {
  const sizes = voxelSizes(affine);
  const pixels = sizes.map((size, axis) => (axis === 2 || Math.abs(size - halfPixelMm) <= NEAR_MM ? size : halfPixelMm));
  const axes = axesOf(affine);
  const upper = transpose(cholesky(multiply(transpose(axes), axes)));
  const counts = gridShape(axes, upper, affine, shape, pixels);
  const factors = [0, 1].map((axis) => {
    const length = upper[axis].reduce((sum, value, k) => sum + Math.abs(value) * (shape[k] - 1), 0) / pixels[axis] + 1;
    const wanted = Math.min(Math.max(length, counts[axis] - 0.5 + MARGIN), counts[axis] + 0.5 - MARGIN);
    const steps = shape[axis] - 1;
    return steps > 0 ? 1 + ((wanted - length) * pixels[axis]) / (steps * sizes[axis]) : 1;
  });
  return affine.map(([first, second, ...rest]) => [first * factors[0], second * factors[1], ...rest]);
}

function gridShape(axes, upper, affine, shape, pixels) {
  const scaled = pixels.map((pixel, i) => pixels.map((_, j) => (i === j ? Math.sign(upper[i][i]) * pixel : 0)));
  const rotated = multiply(multiply(axes, inverse(upper)), scaled);
  const resampled = [...rotated.map((row) => [...row, 0]), [0, 0, 0, 1]];
  const corners = [[], [], [], []];
  for (const x of [0, shape[0] - 1]) {
    for (const y of [0, shape[1] - 1]) {
      for (const z of [0, shape[2] - 1]) [x, y, z, 1].forEach((value, row) => corners[row].push(value));
    }
  }
  const places = multiply(solve(resampled, affine), corners);
  return places.slice(0, 3).map((row) => roundHalfToEven(Math.max(...row) - Math.min(...row) + 1));
}

function roundHalfToEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest === 0.5) return below % 2 === 0 ? below : below + 1;
  return rest < 0.5 ? below : below + 1;
}
