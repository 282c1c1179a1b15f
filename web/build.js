/**
 * node web/build.js <student.onnx> <folder>: write the page with a student into a folder.
 *
 * The folder then holds all that the page needs; "python3 serve.py" in it serves the page. The packages of package-lock.json
 * must be installed (npm ci).
 */
import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { writeLicences } from "./licences.js";
import { readNotes } from "./src/student_notes.js";
import { UserError } from "./src/user_error.js";

const HERE = dirname(fileURLToPath(import.meta.url));
// From npm's packages to the page: {folder in the page: [folder in node_modules, files]}.
const VENDORED = {
  niivue: ["@niivue/niivue/dist", ["index.js"]],
  dcm2niix: ["@niivue/dcm2niix/dist", ["index.jpeg.js", "worker.jpeg.js", "dcm2niix.jpeg.js", "dcm2niix.jpeg.wasm"]],
  "onnxruntime-web": ["onnxruntime-web/dist", ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"]],
};

async function build(student, folder) {
  const bytes = await readFile(student);
  const notes = checked(student, bytes);
  await requireOwnFolder(folder);
  const unfinished = `${folder}.part`;
  await rm(unfinished, { recursive: true, force: true });
  try {
    await writePage(unfinished, bytes);
    await rm(folder, { recursive: true, force: true });
    await rename(unfinished, folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
  console.log(`${folder}: the page with ${notes.name} ${notes.version}`);
}

function checked(student, bytes) {
  try {
    return readNotes(bytes);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${student}: ${error.message[0].toLowerCase()}${error.message.slice(1, -1)}`);
  }
}

/** The folder is replaced as a whole, so it must be new, empty, or an earlier page. */
async function requireOwnFolder(folder) {
  const names = await readdir(folder).catch((error) => {
    if (error.code === "ENOENT") return [];
    throw error; // a file, or a folder that cannot be read
  });
  if (names.length && !(names.includes("headers.json") && names.includes("student.onnx"))) {
    throw new UserError(`${folder}: holds other files; give a new folder`);
  }
}

async function writePage(folder, student) {
  await mkdir(folder, { recursive: true });
  await cp(join(HERE, "src"), join(folder, "src"), { recursive: true });
  for (const name of ["serve.py", "headers.json"]) await cp(join(HERE, name), join(folder, name));
  for (const [name, [from, files]] of Object.entries(VENDORED)) {
    for (const file of files) await cp(join(HERE, "node_modules", from, file), join(folder, "vendor", name, file));
  }
  // The policy also stands in the page itself, for servers that do not send it.
  const policy = JSON.parse(await readFile(join(HERE, "headers.json"), "utf8"))["Content-Security-Policy"];
  const page = await readFile(join(HERE, "src", "index.html"), "utf8");
  await writeFile(join(folder, "index.html"), page.replace("CONTENT-SECURITY-POLICY", policy));
  await rm(join(folder, "src", "index.html"));
  await writeLicences(HERE, join(folder, "licences"));
  await writeFile(join(folder, "student.onnx"), student);
}

try {
  const [student, folder] = process.argv.slice(2);
  await build(student, resolve(folder));
} catch (error) {
  if (!(error instanceof UserError) && !error.path) throw error;
  // Node's message: "ENOENT: no such file or directory, open '...'"
  const line = error instanceof UserError ? error.message : `${error.path}: ${error.message.replace(/^\w+: /, "").split(",")[0]}`;
  console.error(`error: ${line}`);
  process.exitCode = 1;
}
