/** The header of a NIfTI file (version 1 or 2, either byte order), and its affine by nibabel's rules. */
import { UserError } from "./user_error.js";

const NOT_NIFTI = "is not a NIfTI file, or is cut off; export it again as .nii.gz.";
const MAGIC_1 = "n+1\0", MAGIC_2 = "n+2\0";

/**
 * @param bytes the file, not compressed.
 * @returns {littleEndian, dims, datatype, offset, slope, inter, unit, pixdim, qformCode, sformCode, quaternion, qoffset, srow}
 * @throws UserError if this is no single-file NIfTI.
 */
export function readHeader(bytes) {
  if (bytes.length < 352) throw new UserError(NOT_NIFTI);
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const littleEndian = [348, 540].includes(data.getInt32(0, true));
  const size = data.getInt32(0, littleEndian);
  const magic = new TextDecoder("latin1").decode(bytes.subarray(size === 540 ? 4 : 344, size === 540 ? 8 : 348));
  if (magic !== (size === 540 ? MAGIC_2 : MAGIC_1) || ![348, 540].includes(size)) throw new UserError(NOT_NIFTI);
  return size === 540 ? secondVersion(data, littleEndian) : firstVersion(data, littleEndian);
}

function firstVersion(data, littleEndian) {
  const short = (place) => data.getInt16(place, littleEndian);
  const float = (place) => data.getFloat32(place, littleEndian);
  const floats = (place, count) => Array.from({ length: count }, (_, i) => float(place + 4 * i));
  return {
    littleEndian,
    dims: Array.from({ length: Math.max(short(40), 0) }, (_, i) => (i < 7 ? short(42 + 2 * i) : 0)),
    datatype: short(70),
    pixdim: floats(76, 4),
    offset: Math.max(float(108), 352),
    slope: float(112),
    inter: float(116),
    unit: data.getUint8(123),
    qformCode: short(252),
    sformCode: short(254),
    quaternion: floats(256, 3),
    qoffset: floats(268, 3),
    srow: [floats(280, 4), floats(296, 4), floats(312, 4)],
  };
}

function secondVersion(data, littleEndian) {
  if (data.byteLength < 544) throw new UserError(NOT_NIFTI);
  const long = (place) => Number(data.getBigInt64(place, littleEndian));
  const int = (place) => data.getInt32(place, littleEndian);
  const double = (place) => data.getFloat64(place, littleEndian);
  const doubles = (place, count) => Array.from({ length: count }, (_, i) => double(place + 8 * i));
  return {
    littleEndian,
    dims: Array.from({ length: Math.min(Math.max(long(16), 0), 7) }, (_, i) => long(24 + 8 * i)),
    datatype: data.getInt16(12, littleEndian),
    pixdim: doubles(104, 4),
    offset: Math.max(long(168), 544),
    slope: double(176),
    inter: double(184),
    unit: int(500),
    qformCode: int(344),
    sformCode: int(348),
    quaternion: doubles(352, 3),
    qoffset: doubles(376, 3),
    srow: [doubles(400, 4), doubles(432, 4), doubles(464, 4)],
  };
}

/** The 4 x 4 affine from voxel indices to mm: the sform, else the qform, else the voxel sizes alone. */
export function affineOf(header) {
  if (header.sformCode > 0) return [...header.srow, [0, 0, 0, 1]];
  const sizes = header.pixdim.slice(1).map((size) => Math.abs(size) || 1);
  if (header.qformCode > 0) {
    sizes[2] *= header.pixdim[0] === -1 ? -1 : 1;
    const rows = rotationOf(header.quaternion).map((row, i) => [...row.map((value, j) => value * sizes[j]), header.qoffset[i]]);
    return [...rows, [0, 0, 0, 1]];
  }
  sizes[0] *= -1;
  const rows = sizes.map((size, i) => [0, 1, 2, 3].map((j) => (j === i ? size : j === 3 ? (-size * (header.dims[i] - 1)) / 2 : 0)));
  return [...rows, [0, 0, 0, 1]];
}

function rotationOf([x, y, z]) {
  const w = Math.sqrt(Math.max(1 - (x * x + y * y + z * z), 0));
  const s = 2 / (w * w + x * x + y * y + z * z);
  const [X, Y, Z] = [x * s, y * s, z * s];
  return [
    [1 - (y * Y + z * Z), x * Y - w * Z, x * Z + w * Y],
    [x * Y + w * Z, 1 - (x * X + z * Z), y * Z - w * X],
    [x * Z - w * Y, y * Z + w * X, 1 - (x * X + y * Y)],
  ];
}
