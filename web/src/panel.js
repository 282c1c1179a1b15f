/** The panel beside the image: the only module that changes the text of the page. */

const at = (id) => document.getElementById(id);
const NOTES = [
  ["name", "Name"],
  ["version", "Version"],
  ["labels", "Labels"],
  ["preprocessing", "Preprocessing"],
  ["licence", "Licence"],
  ["intended_use", "Intended use"],
  ["weights_sha256", "SHA-256 of the weights"],
  ["provenance_sha256", "SHA-256 of the provenance"],
];

export const canvas = at("canvas");

/** Call the page's functions when the person uses the panel. */
export function listen({ openFiles, useTool, zoom, undo, reset, download }) {
  for (const [button, input] of [["open-file", "file"], ["open-folder", "folder"]]) {
    at(button).onclick = () => at(input).click();
    at(input).onchange = () => {
      const files = [...at(input).files];
      at(input).value = ""; // so that the same file can be opened again
      if (files.length) openFiles(files, input === "folder");
    };
  }
  applyTool = () => {
    const size = Number(at("size").value);
    at("size-shown").value = size === 1 ? "1 voxel" : `${size} voxels`;
    useTool(document.querySelector("[name=tool]:checked").value, size);
  };
  for (const input of document.querySelectorAll("[name=tool]")) input.onchange = applyTool;
  at("size").oninput = applyTool;
  at("zoom").oninput = () => {
    showZoom();
    zoom(Number(at("zoom").value));
  };
  at("undo").onclick = undo;
  at("reset").onclick = reset;
  at("download").onclick = download;
}

let applyTool = () => {};
let ticking;
const showZoom = () => (at("zoom-shown").value = `${at("zoom").value} x`);

export function showStudent(notes) {
  const words = { ...notes, labels: Object.entries(JSON.parse(notes.labels ?? "{}")).map(([value, label]) => `${value} ${label}`).join(", ") };
  at("student-name").textContent = `${notes.name} ${notes.version}`;
  for (const [key, title] of NOTES) {
    at("notes").append(element("dt", title), element("dd", words[key] ?? ""));
  }
}

export function addNotice(text) {
  at("notices").append(element("li", text));
}

/** The page waits for a volume. */
export function showReady() {
  hideSteps();
  at("open-file").disabled = at("open-folder").disabled = false;
}

/** A new volume begins: all that belongs to the one before disappears. */
export function showStart() {
  hideSteps();
  for (const id of ["error", "result", "series"]) at(id).hidden = true;
  showImage(false);
}

export function showStep(text) {
  const start = Date.now();
  const show = () => {
    const seconds = Math.floor((Date.now() - start) / 1000);
    at("step").textContent = seconds ? `${text}… ${seconds} s` : `${text}…`;
  };
  clearInterval(ticking);
  ticking = setInterval(show, 1000);
  show();
  at("progress").hidden = false;
}

/** The page waits for the person. */
function hideSteps() {
  clearInterval(ticking);
  at("progress").hidden = true;
}

export function showError(error) {
  showStart();
  at("error").textContent = error.message;
  at("error").hidden = false;
}

/** @param open is called with the chosen one of the series (series.js). */
export function askForSeries(series, open) {
  at("series-list").replaceChildren(
    ...series.map((one) => {
      const button = element("button", Number.isFinite(one.number) ? `${one.number} ${one.title}` : one.title);
      button.append(element("small", one.fault ? `${one.details}: ${one.fault}` : one.details));
      button.disabled = Boolean(one.fault);
      button.onclick = () => open(one);
      const item = element("li");
      item.append(button);
      return item;
    }),
  );
  hideSteps();
  at("series").hidden = false;
}

export function showResult({ name, seconds, warning, shape, spacing }, isVisible) {
  hideSteps();
  at("name").textContent = name;
  const edges = spacing.map((size) => Number(size.toFixed(2))).join(" x ");
  at("timing").textContent = `Segmented in ${seconds.toFixed(1)} s. ${shape.join(" x ")} voxels of ${edges} mm.`;
  at("warning").textContent = warning ?? "";
  at("warning").hidden = !warning;
  at("tools").hidden = !isVisible;
  document.querySelector("[name=tool][value=look]").checked = true;
  at("zoom").value = 1;
  showZoom();
  at("result").hidden = false;
  at("student").open = false;
  showImage(isVisible);
  if (isVisible) applyTool();
}

export function showVolume(ml, isCorrected) {
  at("volume").value = ml.toFixed(1);
  at("corrected").hidden = !isCorrected;
}

function showImage(isVisible) {
  at("hint").hidden = isVisible;
}

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
