// The connection of the viewer to the server that it came from.

// The panel takes the server's address from this cookie. Cookies do not know ports, so it is set at every start.
document.cookie = `MONAILABEL_SERVER_URL=${escape(location.origin + '/')}; path=/ohif`;

const TRAINING_POLL_MS = 2000;
let watcher = 0; // a new watch of the training ends the former one

const monaiLabelServer = {
  /** The series of a study that the server segments: a list with one UID, or an empty list. */
  async series(study) {
    const answer = await fetch(`/ohif/series/${encodeURIComponent(study)}`);
    return answer.ok ? answer.json() : [];
  },

  /** Store a labelmap as the final label of its series; the error's message is the server's reason. */
  async submit(series, nifti) {
    const form = new FormData();
    form.append('params', '{}');
    form.append('label', nifti, 'label.nii');
    const answer = await fetch(`/datastore/label?image=${encodeURIComponent(series)}`, { method: 'PUT', body: form });
    if (!answer.ok) {
      throw new Error(detailOf(await answer.text()) ?? `The server answers ${answer.status}`);
    }
  },

  /** The server's reason for a failed request of axios, in one line. */
  reason(error) {
    const data = error.response?.data;
    const text = data instanceof ArrayBuffer ? new TextDecoder().decode(data) : data?.detail && JSON.stringify(data);
    return detailOf(text) ?? `The server does not answer (${error.message})`;
  },

  /** Call show(running) now and until no training runs, and then tell the user how the trainings ended. */
  async watchTraining(show) {
    const own = ++watcher;
    for (let waited = false; own === watcher; waited = true) {
      // While the server starts again, there is no answer.
      const state = await fetch('/ohif/training').then(answer => answer.json()).catch(() => null);
      if (state) {
        show(state.running);
        if (!state.running) {
          if (waited) {
            annotatingNotify(state.failed ? 'error' : 'success', state.ends.join('; '));
          }
          return;
        }
      }
      await new Promise(resolve => setTimeout(resolve, TRAINING_POLL_MS));
    }
  },
};

/** The server's reason in an answer of JSON; undefined in any other answer. */
function detailOf(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return undefined;
  }
}

function annotatingNotify(type, message) {
  const duration = type === 'error' ? 20000 : 5000;
  window.services.uiNotificationService.show({ title: 'MONAI Label', message, type, duration });
}
