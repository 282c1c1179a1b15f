/**
 * The notes in a student.onnx: the metadata_props of the ONNX file. onnxruntime-web does not show them, so this module
 * reads them from the file's bytes, which are a protocol buffer (onnx.proto3: ModelProto.metadata_props is field 14, a
 * StringStringEntryProto has key 1 and value 2).
 */
import { UserError } from "./user_error.js";

const FORMAT = "prostate-student 1";
const METADATA_PROPS = 14;
const VARINT = 0, EIGHT_BYTES = 1, BYTES = 2, FOUR_BYTES = 5;

/**
 * @param bytes the file, as Uint8Array.
 * @returns the notes by name.
 * @throws UserError if the file is no student of this version.
 */
export function readNotes(bytes) {
  const notes = {};
  try {
    for (const [field, value] of fieldsOf(bytes)) {
      if (field !== METADATA_PROPS) continue;
      const [key, text] = [1, 2].map((wanted) => {
        const found = [...fieldsOf(value)].find(([name]) => name === wanted);
        return new TextDecoder().decode(found?.[1] ?? new Uint8Array());
      });
      notes[key] = text;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UserError("The student file is no ONNX file, or is damaged; give the student.onnx that 'make export' wrote.");
  }
  if (notes.format !== FORMAT) {
    const told = "format" in notes ? `its format is '${notes.format}'` : "it is another model";
    throw new UserError(`The student file is no student of this version (${told}); give the student.onnx that 'make export' wrote.`);
  }
  return notes;
}

/** The fields of a protocol buffer: pairs of number and bytes. The bytes of numbers are left out. */
function* fieldsOf(bytes) {
  let place = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      if (place >= bytes.length || factor > 2 ** 63) throw new RangeError("no varint");
      const byte = bytes[place++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (place < bytes.length) {
    const tag = varint();
    const field = Math.floor(tag / 8), kind = tag % 8;
    if (kind === VARINT) varint();
    else if (kind === EIGHT_BYTES) place += 8;
    else if (kind === FOUR_BYTES) place += 4;
    else if (kind === BYTES) {
      const length = varint();
      if (place + length > bytes.length) throw new RangeError("cut off");
      yield [field, bytes.subarray(place, place + length)];
      place += length;
    } else throw new RangeError("no field");
  }
  if (place > bytes.length) throw new RangeError("cut off");
}
