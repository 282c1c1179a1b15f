/**
 * Reading of a NIfTI volume. The same files are refused as by custom_components/foundation/nifti.py, and for the same
 * reasons; that file explains the limits.
 */
import { firstIndexFastest } from "./array_views.js";
import { gunzip, isGzip } from "./gzip.js";
import { axesOf, transpose, voxelMm3, voxelSizes } from "./matrices.js";
import { affineOf, readHeader } from "./nifti_header.js";
import { UserError } from "./user_error.js";

const MOST_VOXELS = 2 ** 28;
const SHORTEST_EDGE_MM = 0.01, LONGEST_EDGE_MM = 100;
const SHEAR_TOLERANCE = 1e-3;
const SIZE_TOLERANCE = 0.01;
const OTHER_UNITS = [1, 3]; // metre, micron
const DAMAGED = "is truncated or damaged; copy it again.";
// By NIfTI's code of the type: the bytes of a value, and DataView's method that reads one.
const TYPES = {
  2: [1, "getUint8"],
  4: [2, "getInt16"],
  8: [4, "getInt32"],
  16: [4, "getFloat32"],
  64: [8, "getFloat64"],
  256: [1, "getInt8"],
  512: [2, "getUint16"],
  768: [4, "getUint32"],
  1024: [8, "getBigInt64"],
  1280: [8, "getBigUint64"],
};

/**
 * @param bytes the file, gzipped or not.
 * @returns {view, affine}: the voxels as float32 in a view (array_views.js), and the affine from indices to mm.
 * @throws UserError if the file is not one upright volume of grey values. The message lacks the file's name.
 */
export async function readVolume(bytes) {
  const plain = isGzip(bytes) ? await gunzipped(bytes) : bytes;
  const header = readHeader(plain);
  const shape = shapeOf(header);
  const affine = affineOf(header);
  requireSaneAffine(header, affine);
  return { view: firstIndexFastest(voxelsOf(plain, header, shape), shape), affine };
}

async function gunzipped(bytes) {
  try {
    return await gunzip(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UserError(DAMAGED);
  }
}

function shapeOf({ dims, datatype }) {
  const count = dims.reduce((product, length) => product * length, 1);
  if (!(count > 0 && count <= MOST_VOXELS) || dims.some((length) => length < 1)) {
    throw new UserError(`says its shape is ${dims.join(" x ")}; no MRI is like this, copy or export it again.`);
  }
  if (!(datatype in TYPES)) throw new UserError("holds colour or complex voxels; export it as grey values.");
  if (dims.length < 3 || dims.slice(3).some((length) => length !== 1)) {
    throw new UserError(`has ${dims.length} dimensions (${dims.join(" x ")}); export one 3-D volume (T2w).`);
  }
  return dims.slice(0, 3);
}

function requireSaneAffine({ sformCode, qformCode, pixdim, unit }, affine) {
  const stored = pixdim.slice(1, 4);
  if (sformCode === 0 && stored.includes(0)) throw new UserError("says that its voxels have a size of 0; export it again.");
  if (!affine.flat().every(Number.isFinite) || voxelMm3(affine) < 1e-12) {
    throw new UserError("has an affine that spans no volume; export it again.");
  }
  const sizes = voxelSizes(affine);
  if (sformCode > 0 && qformCode > 0 && sizes.some((size, i) => Math.abs(Math.abs(stored[i]) / size - 1) > SIZE_TOLERANCE)) {
    throw new UserError(`has two voxel sizes, ${inWords(sizes)} in its sform and ${inWords(stored)} in its qform; export it again.`);
  }
  if (OTHER_UNITS.includes(unit & 7)) throw new UserError("is not in mm but in another unit of length (xyzt_units); save it in mm.");
  if (Math.min(...sizes) < SHORTEST_EDGE_MM || Math.max(...sizes) > LONGEST_EDGE_MM) {
    throw new UserError(`has voxels of ${inWords(sizes)}, as no MRI has; correct its unit of length and export it again.`);
  }
  const axes = transpose(axesOf(affine)).map((axis, i) => axis.map((value) => value / sizes[i]));
  const cosines = [[0, 1], [0, 2], [1, 2]].map(([i, j]) => Math.abs(axes[i].reduce((sum, value, k) => sum + value * axes[j][k], 0)));
  const cosine = Math.max(...cosines);
  if (cosine > SHEAR_TOLERANCE) {
    const degrees = (Math.acos(Math.min(cosine, 1)) * 180) / Math.PI;
    throw new UserError(`is sheared, two of its axes meet at ${short(degrees)} degrees; resample it upright first.`);
  }
}

function voxelsOf(bytes, { datatype, littleEndian, offset, slope, inter }, shape) {
  const count = shape[0] * shape[1] * shape[2];
  const [size, read] = TYPES[datatype];
  if (bytes.length < offset + count * size) throw new UserError(DAMAGED);
  const data = new DataView(bytes.buffer, bytes.byteOffset + offset, count * size);
  const isScaled = Number.isFinite(slope) && slope !== 0;
  const [factor, summand] = isScaled ? [slope, inter] : [1, 0];
  const voxels = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const value = Number(data[read](i * size, littleEndian)) * factor + summand;
    if (!Number.isFinite(value)) throw new UserError("holds voxels that are NaN or infinite; export it again.");
    voxels[i] = value;
  }
  return voxels;
}

const short = (value) => String(+value.toPrecision(4));
const inWords = (sizes) => `${sizes.map(short).join(" x ")} mm`;
