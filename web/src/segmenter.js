/** The page's side of the worker that segments (worker.js). */
import { UserError } from "./user_error.js";

const STOPPED = "The segmentation has stopped without a reason, as it does if memory runs out; close other programs and try again.";

export class Segmenter {
  /** Starts the worker. "ready" is a promise of {notes, threads}. */
  constructor() {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.ready = this.answer("ready");
    this.running = null;
  }

  /**
   * Segment one NIfTI. A volume that is still being segmented is given up.
   *
   * @param onStep is called with "read" and "segment".
   * @returns the result of student.js with "seconds".
   * @throws UserError if the volume cannot be segmented.
   */
  async segment(file, onStep) {
    if (this.running) this.restart();
    const running = (this.running = this.answer("segmented", onStep));
    this.worker.postMessage(file);
    try {
      return await running;
    } finally {
      if (this.running === running) this.running = null;
    }
  }

  restart() {
    this.worker.terminate();
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  }

  answer(kind, onStep) {
    const { worker } = this;
    const settled = new AbortController();
    return new Promise((resolve, reject) => {
      const listen = (event, act) => worker.addEventListener(event, act, { signal: settled.signal });
      listen("message", ({ data }) => {
        if (data.kind === kind) resolve(data);
        else if (data.kind === "failed") reject(new UserError(data.message));
        else if (data.kind === "step") onStep?.(data.step);
      });
      listen("error", () => reject(new UserError(STOPPED)));
    }).finally(() => settled.abort());
  }
}
