/** Writing of a NIfTI-1 volume, with the affine as sform and as qform. */
import { axesOf, nearestRotation, voxelSizes } from "./matrices.js";

const HEADER_BYTES = 352;
const SCANNER = 1, MILLIMETRE = 2;
const TYPES = new Map([[Uint8Array, 2], [Float32Array, 16]]);

/**
 * @param values Uint8Array or Float32Array; the first index changes fastest.
 * @param affine 4 x 4, from voxel indices to mm.
 * @param description at most 79 letters of ASCII.
 * @returns the file's bytes, not compressed.
 */
export function writeVolume(values, shape, affine, description = "") {
  const bytes = new Uint8Array(HEADER_BYTES + values.byteLength);
  const data = new DataView(bytes.buffer);
  const shorts = (place, numbers) => numbers.forEach((one, i) => data.setInt16(place + 2 * i, one, true));
  const floats = (place, numbers) => numbers.forEach((one, i) => data.setFloat32(place + 4 * i, one, true));
  const text = (place, letters) => bytes.set(new TextEncoder().encode(letters), place);
  const { quaternion, handedness } = qformOf(affine);

  data.setInt32(0, 348, true);
  shorts(40, [3, ...shape, 1, 1, 1, 1]);
  shorts(70, [TYPES.get(values.constructor), 8 * values.BYTES_PER_ELEMENT]);
  floats(76, [handedness, ...voxelSizes(affine), 1, 1, 1, 1]);
  floats(108, [HEADER_BYTES, 1, 0]);
  data.setUint8(123, MILLIMETRE);
  text(148, description);
  shorts(252, [SCANNER, SCANNER]);
  floats(256, quaternion);
  floats(268, affine.slice(0, 3).map((row) => row[3]));
  floats(280, affine.slice(0, 3).flat());
  text(344, "n+1\0");
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), HEADER_BYTES);
  return bytes;
}

function qformOf(affine) {
  const sizes = voxelSizes(affine);
  const rotation = nearestRotation(axesOf(affine).map((row) => row.map((value, axis) => value / sizes[axis])));
  const [[a, b, c], [d, e, f], [g, h, i]] = rotation;
  const handedness = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) < 0 ? -1 : 1;
  return { handedness, quaternion: quaternionOf(rotation.map(([x, y, z]) => [x, y, z * handedness])) };
}

/** The last three parts of a rotation's quaternion whose first part is not negative. */
function quaternionOf([[a, b, c], [d, e, f], [g, h, i]]) {
  // Four times the square of each part. The largest one is a safe divisor.
  const squares = [1 + a + e + i, 1 + a - e - i, 1 - a + e - i, 1 - a - e + i];
  const largest = squares.indexOf(Math.max(...squares));
  const products = [
    [squares[0], h - f, c - g, d - b],
    [h - f, squares[1], b + d, c + g],
    [c - g, b + d, squares[2], f + h],
    [d - b, c + g, f + h, squares[3]],
  ][largest];
  const scale = 0.5 / Math.sqrt(squares[largest]);
  const [w, ...rest] = products.map((product) => product * scale);
  return rest.map((part) => (w < 0 ? -part : part));
}
