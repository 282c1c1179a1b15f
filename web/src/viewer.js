/** The image in three planes with the mask's contour, which can be corrected with a brush. */
import { DRAG_MODE, NVImage, Niivue, SHOW_RENDER, SLICE_TYPE } from "../vendor/niivue/index.js";
import { writeVolume } from "./nifti_writer.js";

const CONTOUR = { R: [0, 255], G: [0, 212], B: [0, 59], labels: ["", "prostate"] };
const FILLING = 0.12;
// The width of the crosshair, as a share of the volume's longest side.
const CROSSHAIR = 0.002;
const PROSTATE = 1, BACKGROUND = 0;
const LAYOUT = [
  { sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 0.62, 1] },
  { sliceType: SLICE_TYPE.SAGITTAL, position: [0.63, 0, 0.37, 0.495] },
  { sliceType: SLICE_TYPE.CORONAL, position: [0.63, 0.505, 0.37, 0.495] },
];
const OPTIONS = {
  backColor: [0, 0, 0, 1],
  crosshairColor: [0.3, 0.6, 1, 0.6],
  crosshairWidthUnit: "mm",
  dragAndDropEnabled: false,
  dragMode: DRAG_MODE.windowing,
  fontColor: [0.75, 0.78, 0.82, 1],
  isRadiologicalConvention: true,
  sagittalNoseLeft: true,
  loadingText: "",
  logLevel: "silent",
  maxDrawUndoBitmaps: 32,
  multiplanarShowRender: SHOW_RENDER.NEVER,
};

/** Whether the browser can show images. */
export const hasWebGL = () => Boolean(document.createElement("canvas").getContext("webgl2"));

export class Viewer {
  /**
   * @param canvas the place of the image.
   * @param onChange is called after every stroke of the brush.
   */
  static async on(canvas, onChange) {
    const viewer = new Viewer();
    viewer.niivue = new Niivue(OPTIONS);
    await viewer.niivue.attachToCanvas(canvas);
    viewer.niivue.setCustomLayout(LAYOUT);
    viewer.niivue.setDrawColormap(CONTOUR);
    viewer.niivue.setDrawOpacity(FILLING);
    viewer.niivue.drawRimOpacity = 1;
    viewer.niivue.onDrawingChanged = (action) => ["draw", "undo"].includes(action) && onChange();
    return viewer;
  }

  /**
   * Show a volume and its mask (student.js).
   *
   * The picture shows the voxels' own grid: the axes of an oblique volume are labelled with the nearest direction.
   */
  async show({ image, mask, shape, spacing }) {
    this.longestMm = Math.max(...shape.map((length, axis) => length * spacing[axis]));
    const grid = spacing.map((size, axis) => [0, 1, 2, 3].map((column) => (column === axis ? size : 0))).concat([[0, 0, 0, 1]]);
    this.asDrawing = (values) => NVImage.loadFromUrl({ url: "mask.nii", buffer: writeVolume(values, shape, grid).buffer });
    for (const volume of [...this.niivue.volumes]) this.niivue.removeVolume(volume);
    await this.niivue.loadFromArrayBuffer(writeVolume(image, shape, grid).buffer, "image.nii");
    await this.reset(mask);
    this.zoom(1);
    this.goTo(middleOf(mask, shape));
  }

  /** Replace the mask, and forget all corrections. */
  async reset(mask) {
    this.niivue.loadDrawing(await this.asDrawing(mask));
  }

  /** The mask with its corrections; the first index changes fastest. */
  get mask() {
    return this.niivue.drawBitmap;
  }

  /** @param tool "look", "brush" or "eraser". */
  useTool(tool, voxels) {
    this.niivue.opts.penSize = voxels;
    this.niivue.setDrawingEnabled(tool !== "look");
    this.niivue.setPenValue(tool === "brush" ? PROSTATE : BACKGROUND);
  }

  undo() {
    this.niivue.drawUndo();
  }

  /** Enlarge the planes around the crosshair. */
  zoom(factor) {
    const { scene } = this.niivue;
    const centre = this.niivue.frac2mm(scene.crosshairPos);
    const [x, y, z, before] = scene.pan2Dxyzmm;
    const moved = [x, y, z].map((shift, axis) => shift + (before - factor) * centre[axis]);
    this.niivue.setCrosshairWidth((CROSSHAIR * this.longestMm) / factor);
    this.niivue.setPan2Dxyzmm(factor === 1 ? [0, 0, 0, 1] : [...moved, factor]);
  }

  goTo(voxel) {
    this.niivue.scene.crosshairPos = this.niivue.vox2frac(voxel);
    this.niivue.drawScene();
  }
}

/** The centre of the mask's bounding box, or of the volume if the mask is empty. */
function middleOf(mask, shape) {
  const least = [...shape], most = [-1, -1, -1];
  for (let k = 0, place = 0; k < shape[2]; k++) {
    for (let j = 0; j < shape[1]; j++) {
      for (let i = 0; i < shape[0]; i++, place++) {
        if (!mask[place]) continue;
        [i, j, k].forEach((index, axis) => {
          least[axis] = Math.min(least[axis], index);
          most[axis] = Math.max(most[axis], index);
        });
      }
    }
  }
  return shape.map((length, axis) => Math.floor((most[axis] < 0 ? length - 1 : least[axis] + most[axis]) / 2));
}
