/**
 * The worker that reads and segments volumes, so that the page stays alive.
 *
 * It first sends {kind: "ready", notes, threads}. For each File that it receives it sends {kind: "step", step} and in the end
 * {kind: "segmented", ...} (student.js), or {kind: "failed", message}.
 */
import * as ort from "../vendor/onnxruntime-web/ort.wasm.min.mjs";
import { readVolume } from "./nifti_reader.js";
import { Student } from "./student.js";
import { UserError } from "./user_error.js";

// More threads make volumes of this size hardly faster.
const MOST_THREADS = 4;

ort.env.wasm.wasmPaths = new URL("../vendor/onnxruntime-web/", import.meta.url).href;
ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1;

const opened = openStudent();
opened.then(
  ({ notes }) => postMessage({ kind: "ready", notes, threads: ort.env.wasm.numThreads }),
  (error) => fail(error, "The student cannot be loaded"),
);
onmessage = ({ data: file }) => segment(file);

async function openStudent() {
  const answer = await fetch("../student.onnx");
  if (!answer.ok) throw new UserError("There is no student.onnx beside this page; write the page again with 'make web'.");
  return Student.open(ort, new Uint8Array(await answer.arrayBuffer()));
}

async function segment(file) {
  try {
    const student = await opened;
    postMessage({ kind: "step", step: "read" });
    const volume = await readVolume(new Uint8Array(await file.arrayBuffer())).catch((error) => {
      throw error instanceof UserError ? new UserError(`${file.name} ${error.message}`) : error;
    });
    postMessage({ kind: "step", step: "segment" });
    const start = performance.now();
    const result = await student.segment(volume);
    const seconds = (performance.now() - start) / 1000;
    postMessage({ kind: "segmented", ...result, seconds }, [result.image.buffer, result.mask.buffer]);
  } catch (error) {
    fail(error, `${file.name} cannot be segmented`);
  }
}

function fail(error, context) {
  const isMemory = error instanceof RangeError || /out of memory|bad_alloc|allocat/i.test(error.message);
  const reason = isMemory ? "there is not enough memory; close other programs, or give a smaller volume" : error.message;
  postMessage({ kind: "failed", message: error instanceof UserError ? error.message : `${context}: ${reason}.` });
}
