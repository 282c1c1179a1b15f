/** The licences of the npm packages, beside the page that holds them. */
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

// The file of NiiVue holds all packages that NiiVue depends on. The files of the others hold these packages alone.
const WITH_DEPENDENCIES = ["@niivue/niivue"];
const ALONE = ["@niivue/dcm2niix", "onnxruntime-common", "onnxruntime-web"];

/**
 * @param web the folder with package-lock.json, node_modules, and licences/ with the texts that packages lack.
 * @param folder the new folder; it gets one file for each package, and an index.html.
 */
export async function writeLicences(web, folder) {
  const { packages } = JSON.parse(await readFile(join(web, "package-lock.json"), "utf8"));
  await mkdir(folder, { recursive: true });
  const rows = [];
  for (const name of [...ALONE, ...withDependencies(WITH_DEPENDENCIES, packages)].sort()) {
    const { version, license } = packages[`node_modules/${name}`];
    const file = `${name.replace("/", "__")}.txt`;
    await writeFile(join(folder, file), await licenceOf(web, name));
    rows.push(`<tr><td><a href="${file}">${name}</a></td><td>${version}</td><td>${license}</td></tr>`);
  }
  const head =
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Licences</title><link rel="stylesheet" href="../src/licences.css">';
  const table = `<table><tr><th>package</th><th>version</th><th>licence</th></tr>\n${rows.join("\n")}\n</table>`;
  await writeFile(join(folder, "index.html"), `${head}<h1>Licences of the software in this page</h1>\n${table}</html>\n`);
}

function withDependencies(names, packages) {
  const found = new Set(names);
  // A Set's loop also visits what is added during the loop.
  for (const name of found) Object.keys(packages[`node_modules/${name}`].dependencies ?? {}).forEach((one) => found.add(one));
  return found;
}

async function licenceOf(web, name) {
  const installed = join(web, "node_modules", name);
  const file = (await readdir(installed)).find((one) => /^licen[cs]e(\.(md|txt))?$/i.test(one));
  return readFile(file ? join(installed, file) : join(web, "licences", `${name.replace("/", "__")}.txt`));
}
