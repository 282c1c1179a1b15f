// The connection of the viewer to the server that it came from.

// The panel takes the server's address from this cookie. Cookies do not know ports, so it is set at every start.
document.cookie = `MONAILABEL_SERVER_URL=${escape(location.origin + '/')}; path=/ohif`;

const TRAINING_POLL_MS = 2000;

const monaiLabelServer = {
  /** The series of a study that the server segments: a list with one UID, or an empty list. */
  async series(study) {
    const answer = await fetch(`/ohif/series/${study}`);
    return answer.ok ? answer.json() : [];
  },

  /** Store a labelmap as the final label of its series; the error's message is the server's reason. */
  async submit(series, nifti) {
    const form = new FormData();
    form.append('params', '{}');
    form.append('label', nifti, 'label.nii');
    const answer = await fetch(`/datastore/label?image=${series}`, { method: 'PUT', body: form });
    if (!answer.ok) {
      throw new Error((await answer.json()).detail);
    }
  },

  /** The server's reason for a failed request of axios, in one line. */
  reason(error) {
    let data = error.response?.data;
    if (data instanceof ArrayBuffer) {
      data = JSON.parse(new TextDecoder().decode(data));
    }
    return data?.detail ?? `The server does not answer (${error.message})`;
  },

  /** Call show(running) now and until no training runs, and then tell the user how the trainings ended. */
  async watchTraining(show) {
    for (let waited = false; ; waited = true) {
      const { running, failed, ends } = await (await fetch('/ohif/training')).json();
      show(running);
      if (!running) {
        if (waited) {
          annotatingNotify(failed ? 'error' : 'success', ends.join('; '));
        }
        return;
      }
      await new Promise(resolve => setTimeout(resolve, TRAINING_POLL_MS));
    }
  },
};

function annotatingNotify(type, message) {
  const duration = type === 'error' ? 20000 : 5000;
  window.services.uiNotificationService.show({ title: 'MONAI Label', message, type, duration });
}
