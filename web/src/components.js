/**
 * Keep only the largest component of a mask. Voxels that touch at faces, edges or corners belong together. Of two components
 * of the same size, the one whose first voxel comes later is kept, as in runner/student_runner/components.py.
 *
 * @param mask values 0 and 1; the last index changes fastest.
 * @returns a new mask of the same order.
 */
export function largestComponent(mask, [height, width, depth]) {
  const labels = new Int32Array(mask.length);
  const stack = [];
  let count = 0;
  let largest = { label: 0, size: 0 };
  for (let first = 0; first < mask.length; first++) {
    if (!mask[first] || labels[first]) continue;
    count++;
    let size = 0;
    labels[first] = count;
    stack.push(first);
    while (stack.length) {
      const place = stack.pop();
      size++;
      const slice = place % depth;
      const column = ((place - slice) / depth) % width;
      const row = (place - slice - column * depth) / (depth * width);
      for (let i = Math.max(row - 1, 0); i <= Math.min(row + 1, height - 1); i++) {
        for (let j = Math.max(column - 1, 0); j <= Math.min(column + 1, width - 1); j++) {
          for (let k = Math.max(slice - 1, 0); k <= Math.min(slice + 1, depth - 1); k++) {
            const other = (i * width + j) * depth + k;
            if (mask[other] && !labels[other]) {
              labels[other] = count;
              stack.push(other);
            }
          }
        }
      }
    }
    if (size >= largest.size) largest = { label: count, size };
  }
  return Uint8Array.from(labels, (label) => +(label !== 0 && label === largest.label));
}
