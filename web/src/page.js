/** The page: what a person opens becomes a mask that can be seen, corrected and downloaded. */
import { droppedFiles } from "./dropped_files.js";
import { gzip } from "./gzip.js";
import { firstIndexFastest, copyFirstIndexFastest } from "./array_views.js";
import { voxelMm3, voxelSizes } from "./matrices.js";
import { writeVolume } from "./nifti_writer.js";
import { turnBack, turned, turnedAffine } from "./orientation.js";
import * as panel from "./panel.js";
import { Segmenter } from "./segmenter.js";
import { UserError } from "./user_error.js";

const NIFTI = /\.nii(\.gz)?$/i;
const DESCRIPTION = "prostate mask, research use only";
const ONE_THREAD =
  "The page runs on one thread and is slower, because its server does not send the headers of headers.json; serve.py sends them.";
const NO_PROSTATE = "The student finds no prostate in this volume.";
const NO_PICTURE = "The browser cannot draw this volume; you can download the mask. Reload the page to see other volumes.";
const NO_WEBGL = "This browser has no WebGL 2, so there is no picture and no brush; the volume is segmented, and you can download the mask.";

const segmenter = new Segmenter();
let viewer = null;
// The volume on the page: the result of student.js with its file's name, its mask now, and whether corrections would be lost.
let current = null;
let latest = null;

start();

async function start() {
  panel.showStep("Loading the student");
  try {
    const { notes, threads } = await segmenter.ready;
    panel.showStudent(notes);
    if (threads === 1 && !crossOriginIsolated) panel.addNotice(ONE_THREAD);
    viewer = await openViewer();
    if (!viewer) panel.addNotice(NO_WEBGL);
  } catch (error) {
    return panel.showError(error);
  }
  panel.listen({
    openFiles,
    reset,
    download,
    useTool: (tool, size) => viewer.useTool(tool, size),
    zoom: (factor) => viewer.zoom(factor),
    undo: () => viewer.undo(),
  });
  listenToDrops();
  addEventListener("beforeunload", (event) => current?.unsaved && event.preventDefault());
  panel.showReady();
}

async function openViewer() {
  // NiiVue is large; the page is there before it, and without WebGL it is not loaded at all.
  const { Viewer, hasWebGL } = await import("./viewer.js");
  return hasWebGL() ? Viewer.on(panel.canvas, () => showMask(viewer.mask)) : null;
}

function listenToDrops() {
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
  addEventListener("drop", async (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    try {
      const { files, isFolder } = await droppedFiles(event.dataTransfer);
      if (files.length || isFolder) await openFiles(files, isFolder);
    } catch {
      panel.showError(new UserError("The browser cannot read what was dropped; open it with the buttons."));
    }
  });
}

async function openFiles(files, isFolder) {
  if (current?.unsaved && !confirm("The corrected mask is not downloaded. Open another volume, and lose the corrections?")) return;
  current = null;
  panel.showStart();
  const opening = (latest = Symbol());
  // What the person has opened in the meantime replaces this.
  const showError = (error) => opening === latest && panel.showError(error);
  try {
    const volumes = files.filter((file) => NIFTI.test(file.name));
    if (!files.length) throw new UserError("This folder is empty; check the folder.");
    if (volumes.length > 1) throw new UserError(`These are ${volumes.length} volumes; open one at a time.`);
    if (volumes.length === 1) return await segment(volumes[0], volumes[0].name);
    if (!isFolder && files.length === 1 && !(await isDicom(files[0]))) {
      throw new UserError(`${files[0].name} is no NIfTI and no DICOM image; give a .nii or .nii.gz, or a DICOM folder.`);
    }
    panel.showStep(`Converting ${files.length} DICOM files`);
    const { convertSeries } = await import("./series.js");
    const series = await convertSeries(files);
    if (opening !== latest) return;
    const open = ({ file, title }) => segment(file, title).catch(showError);
    if (series.length === 1) await open(series[0]);
    else panel.askForSeries(series, open);
  } catch (error) {
    showError(error);
  }
}

async function segment(file, name) {
  panel.showStart();
  const result = await segmenter.segment(file, (step) => panel.showStep(step === "read" ? `Reading ${name}` : `Segmenting ${name}`));
  panel.showStep(`Drawing ${name}`);
  const warning = result.mask.includes(1) ? result.warning : NO_PROSTATE;
  const opened = (current = { ...result, name, warning, spacing: voxelSizes(result.affine) });
  await viewer?.show(opened).catch((error) => {
    console.error(error);
    panel.addNotice(NO_PICTURE);
    viewer = null;
  });
  if (current !== opened) return; // the person has opened another volume
  showMask(result.mask);
  panel.showResult(opened, Boolean(viewer));
}

function showMask(mask) {
  const voxels = mask.reduce((sum, value) => sum + value, 0);
  const isCorrected = mask.some((value, place) => value !== current.mask[place]);
  Object.assign(current, { now: mask, unsaved: isCorrected });
  panel.showVolume((voxels * voxelMm3(current.affine)) / 1000, isCorrected);
}

async function reset() {
  await viewer.reset(current.mask);
  showMask(current.mask);
}

async function download() {
  const { now, shape, affine, turn, name } = current;
  // On the grid of the opened file, in its own orientation.
  const back = turnBack(turn);
  const original = turned(firstIndexFastest(now, shape), back);
  const bytes = writeVolume(copyFirstIndexFastest(original, Uint8Array), original.shape, turnedAffine(affine, shape, back), DESCRIPTION);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([await gzip(bytes)], { type: "application/gzip" }));
  link.download = `${name.replace(NIFTI, "").replace(/[^\w.-]+/g, "_")}_mask.nii.gz`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  current.unsaved = false;
}

/** Whether a file is a DICOM image with the usual mark. */
async function isDicom(file) {
  return (await file.slice(128, 132).text()) === "DICM";
}
