/** The files of a drop: those of dropped folders too, at any depth. */

/**
 * @param transfer the DataTransfer of a drop event. It must be read before the event ends.
 * @returns a promise of {files, isFolder}.
 */
export function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...transfer.files];
  if (!entries.some((entry) => entry.isDirectory)) return Promise.resolve({ files, isFolder: false });
  return Promise.all(entries.map(filesBelow)).then((below) => ({ files: below.flat(), isFolder: true }));
}

async function filesBelow(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    // dcm2niix keeps files of one name apart by this path.
    file._webkitRelativePath = entry.fullPath.slice(1);
    return [file];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // A reader gives at most 100 entries at once, and in the end none.
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) break;
    found.push(...(await Promise.all(entries.map(filesBelow))));
  }
  return found.flat();
}
