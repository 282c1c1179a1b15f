/** The series of a DICOM folder as NIfTI volumes, converted by dcm2niix in a worker of its own. */
import { Dcm2niix } from "../vendor/dcm2niix/index.jpeg.js";
import { affineOf, readHeader } from "./nifti_header.js";
import { turnToRas } from "./orientation.js";
import { UserError } from "./user_error.js";

const PLANES = ["sagittal", "coronal", "axial"];
const HEADER_BYTES = 544;
// dcm2niix writes such a second file for a series whose slices are not evenly spaced.
const EQUALISED = /_Eq_\d+\.nii$/;
const UNEVEN = "slices are missing, or are not evenly spaced";
const NO_DICOM = /exit code 2$/;

/**
 * @param files all files of the folder.
 * @returns {file, number, title, details, fault} for each series, sorted by number. "file" is a NIfTI; "fault" is the reason
 *   why it is no volume, or null.
 * @throws UserError if there is none that can be segmented, or if there are several studies.
 */
export async function convertSeries(files) {
  const written = await convert(files);
  const names = written.map((file) => file.name);
  const volumes = written.filter(({ name }) => name.endsWith(".nii") && !EQUALISED.test(name));
  const studies = new Set(volumes.map(({ name }) => name.split("_")[0]));
  if (studies.size > 1) throw new UserError(`This folder holds ${studies.size} studies; give the folder of one.`);
  const series = await Promise.all(volumes.map((file) => describe(file, written, isUneven(file.name, names))));
  if (series.length === 1 && series[0].fault) throw new UserError(`${series[0].title}: ${series[0].fault}; export it again.`);
  return series.sort((one, other) => one.number - other.number);
}

async function convert(files) {
  const converter = new Dcm2niix();
  try {
    await converter.init();
    // A file's name is the study's UID and the series' number; the sidecars lack the patient's name (ba).
    const written = await converter.input(files).f("%k_%s").x("i").z("n").ba("y").run();
    if (written.some(({ name }) => name.endsWith(".nii"))) return written;
  } catch (error) {
    if (!NO_DICOM.test(error.message)) {
      throw new UserError(`dcm2niix cannot convert this folder (${error.message}); give the folder of the axial T2w series alone.`);
    }
  } finally {
    converter.worker.terminate();
  }
  throw new UserError("This folder holds no DICOM series; check the folder.");
}

const isUneven = (name, names) => names.some((other) => EQUALISED.test(other) && other.replace(EQUALISED, ".nii") === name);

async function describe(file, written, uneven) {
  const sidecar = written.find((other) => other.name === file.name.replace(/\.nii$/, ".json"));
  const facts = sidecar ? JSON.parse(await sidecar.text()) : {};
  const header = readHeader(new Uint8Array(await file.slice(0, HEADER_BYTES).arrayBuffer()));
  const times = [["TE", facts.EchoTime], ["TR", facts.RepetitionTime]].filter(([, seconds]) => seconds);
  const title = facts.SeriesDescription ?? facts.ProtocolName ?? `series ${facts.SeriesNumber ?? "without a number"}`;
  return {
    file: new File([file], `${title}.nii`),
    number: facts.SeriesNumber ?? Infinity,
    title,
    details: [
      PLANES[turnToRas(affineOf(header))[2].to],
      header.dims.join(" x "),
      ...times.map(([name, seconds]) => `${name} ${Math.round(seconds * 1000)} ms`),
    ].join(", "),
    fault: uneven ? UNEVEN : header.dims.length === 3 ? null : "it holds several volumes",
  };
}
