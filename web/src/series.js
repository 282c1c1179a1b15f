/** The series of a DICOM folder as NIfTI volumes, converted by dcm2niix in a worker of its own. */
import { Dcm2niix } from "../vendor/dcm2niix/index.jpeg.js";
import { UserError } from "./user_error.js";

const NO_SERIES = "holds no DICOM series that dcm2niix can convert; check the folder.";

/**
 * @param files all files of the folder.
 * @returns {file, number, title, details} for each volume, sorted by the series' number. "file" is a NIfTI.
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
  const dims = new DataView(await file.slice(40, 56).arrayBuffer());
  const [columns, rows, slices, volumes] = [2, 4, 6, 8].map((place) => dims.getInt16(place, true));
  const times = [["TE", facts.EchoTime], ["TR", facts.RepetitionTime]].filter(([, seconds]) => seconds);
  return {
    file,
    number: facts.SeriesNumber ?? Infinity,
    title: facts.SeriesDescription ?? facts.ProtocolName ?? file.name,
    details: [
      `${columns} x ${rows} x ${slices}${volumes > 1 ? ` x ${volumes}` : ""}`,
      ...times.map(([name, seconds]) => `${name} ${Math.round(seconds * 1000)} ms`),
    ].join(", "),
  };
}
