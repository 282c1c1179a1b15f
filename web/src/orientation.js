/**
 * Turning of volumes to RAS and back, with nibabel's choice of the axes (nibabel.orientations.io_orientation).
 *
 * A turn has one entry for each axis of the volume: {to, flip}. "to" is the axis of the turned volume, and "flip" is -1
 * if the axis is reversed, otherwise 1.
 */
import { axesOf, multiply, nearestRotation, voxelSizes } from "./matrices.js";

/** The turn that brings a volume to RAS: indices grow to the right, to the front and to the head. */
export function turnToRas(affine) {
  const sizes = voxelSizes(affine);
  const rotation = nearestRotation(axesOf(affine).map((row) => row.map((value, axis) => value / sizes[axis])));
  const strength = (axis) => Math.max(...rotation.map((row) => row[axis] * row[axis]));
  const axes = [0, 1, 2].map((axis) => [axis, strength(axis)]).sort((one, other) => other[1] - one[1]);
  const turn = [];
  for (const [axis] of axes) {
    const column = rotation.map((row) => Math.abs(row[axis]));
    const to = column.indexOf(Math.max(...column));
    turn[axis] = { to, flip: rotation[to][axis] < 0 ? -1 : 1 };
    rotation[to] = [0, 0, 0];
  }
  return turn;
}

/** The turn that undoes a turn. */
export function turnBack(turn) {
  const back = [];
  turn.forEach(({ to, flip }, axis) => (back[to] = { to: axis, flip }));
  return back;
}

/** The turned view of a view (array_views.js); no value is copied. */
export function turned({ values, shape, strides, offset }, turn) {
  const result = { values, shape: [], strides: [], offset };
  turn.forEach(({ to, flip }, axis) => {
    result.shape[to] = shape[axis];
    result.strides[to] = flip * strides[axis];
    if (flip < 0) result.offset += strides[axis] * (shape[axis] - 1);
  });
  return result;
}

/** The affine of the turned volume. */
export function turnedAffine(affine, shape, turn) {
  const toOld = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]];
  turn.forEach(({ to, flip }, axis) => {
    toOld[axis][to] = flip;
    toOld[axis][3] = flip < 0 ? shape[axis] - 1 : 0;
  });
  return multiply(affine, toOld);
}
