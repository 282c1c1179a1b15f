/** A student in onnxruntime-web, and the segmentation of one volume with it: runner/student_runner/student.py in JavaScript. */
import { copyFirstIndexFastest, copyLastIndexFastest, lastIndexFastest } from "./array_views.js";
import { largestComponent } from "./components.js";
import { affineFor } from "./grid.js";
import { turnBack, turnToRas, turned, turnedAffine } from "./orientation.js";
import { readNotes } from "./student_notes.js";
import { UserError } from "./user_error.js";
import { windowWarning } from "./window.js";

export class Student {
  /**
   * @param ort the module onnxruntime-web.
   * @param bytes the student.onnx.
   * @throws UserError if it is no student of this version.
   */
  static async open(ort, bytes) {
    const student = new Student();
    student.notes = readNotes(bytes);
    student.ort = ort;
    try {
      student.session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"], logSeverityLevel: 3 });
    } catch (error) {
      throw new UserError(`The student file cannot be opened by ONNX Runtime (${error.message}); export it again.`);
    }
    student.fieldOfView = JSON.parse(student.notes.field_of_view);
    student.imageSize = Number(student.notes.image_size);
    return student;
  }

  /**
   * Segment a volume in any orientation, and keep the largest component.
   *
   * @param volume {view, affine} of nifti_reader.js.
   * @returns the volume and its mask in RAS, the first index fastest, with shape and affine; the turn that leads to RAS;
   *   and a warning or null.
   */
  async segment({ view, affine }) {
    const turn = turnToRas(affine);
    const inRas = turned(view, turn);
    const rasAffine = turnedAffine(affine, view.shape, turn);
    const { ort, session, fieldOfView, imageSize } = this;
    const inputs = { volume: new ort.Tensor("float32", copyLastIndexFastest(inRas), inRas.shape) };
    if (fieldOfView !== null) {
      const values = affineFor(rasAffine, inRas.shape, fieldOfView / (2 * imageSize)).flat();
      inputs.affine = new ort.Tensor("float64", Float64Array.from(values), [4, 4]);
    }
    const outputs = await session.run(inputs, fieldOfView === null ? ["mask"] : ["mask", "to_window"]);
    // Of two components of one size, the order of the original volume decides.
    const original = turned(lastIndexFastest(outputs.mask.data, inRas.shape), turnBack(turn));
    const kept = lastIndexFastest(largestComponent(copyLastIndexFastest(original), view.shape), view.shape);
    const mask = turned(kept, turn);
    return {
      image: copyFirstIndexFastest(inRas),
      mask: copyFirstIndexFastest(mask),
      shape: inRas.shape,
      affine: rasAffine,
      turn,
      warning: fieldOfView === null ? null : this.warningFor(mask, outputs.to_window.data),
    };
  }

  warningFor(mask, [rowFactor, rowOffset, columnFactor, columnOffset]) {
    const places = [[rowFactor, rowOffset], [columnFactor, columnOffset]];
    return windowWarning(copyLastIndexFastest(mask), mask.shape, places, this.imageSize, this.fieldOfView);
  }
}
