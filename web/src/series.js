/** The series of a DICOM folder as NIfTI volumes, converted by dcm2niix in a worker of its own. */
import { Dcm2niix } from "../vendor/dcm2niix/index.jpeg.js";
import { affineOf, readHeader } from "./nifti_header.js";
import { turnToRas } from "./orientation.js";
import { UserError } from "./user_error.js";

const PLANES = ["sagittal", "coronal", "axial"];
const HEADER_BYTES = 544;
const NO_SERIES = "holds no DICOM series that dcm2niix can convert; check the folder.";

/**
 * @param files all files of the folder.
 * @returns {file, number, title, details, isVolume} for each series, sorted by number. "file" is a NIfTI; "isVolume" is
 *   false if it holds several volumes, as those of a diffusion series.
 * @throws UserError if there is none.
 */
export async function convertSeries(files) {
  const converter = new Dcm2niix();
  try {
    await converter.init();
    // One file for each series, without rotation; without the patient's name in the file's name.
    const written = await converter.input(files).f("series_%s").x("i").z("n").ba("y").run();
    const volumes = written.filter((file) => file.name.endsWith(".nii"));
    if (!volumes.length) throw new UserError(`This folder ${NO_SERIES}`);
    const described = await Promise.all(volumes.map((file) => describe(file, written)));
    return described.sort((one, other) => one.number - other.number);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`This folder ${NO_SERIES}`);
  } finally {
    converter.worker.terminate();
  }
}

async function describe(file, written) {
  const sidecar = written.find((other) => other.name === file.name.replace(/\.nii$/, ".json"));
  const facts = sidecar ? JSON.parse(await sidecar.text()) : {};
  const header = readHeader(new Uint8Array(await file.slice(0, HEADER_BYTES).arrayBuffer()));
  const times = [["TE", facts.EchoTime], ["TR", facts.RepetitionTime]].filter(([, seconds]) => seconds);
  return {
    file,
    isVolume: header.dims.length === 3,
    number: facts.SeriesNumber ?? Infinity,
    title: facts.SeriesDescription ?? facts.ProtocolName ?? file.name,
    details: [
      PLANES[turnToRas(affineOf(header))[2].to],
      header.dims.join(" x "),
      ...times.map(([name, seconds]) => `${name} ${Math.round(seconds * 1000)} ms`),
    ].join(", "),
  };
}
