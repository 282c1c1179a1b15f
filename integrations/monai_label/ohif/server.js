// The connection of the viewer to the server that it came from.

// The panel takes the server's address from this cookie. Cookies do not know ports, so it is set at every start.
document.cookie = `MONAILABEL_SERVER_URL=${escape(location.origin + '/')}; path=/ohif`;

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
    return data?.detail ?? `the server does not answer (${error.message})`;
  },

  /** Call show(running) now and until the training ends; notify the user of its end. */
  async watchTraining(show) {
    for (let seen = false; ; seen = true) {
      const { running, problems } = await (await fetch('/ohif/training')).json();
      show(running);
      if (!running) {
        if (seen) {
          annotatingNotify(
            problems.length ? 'error' : 'success',
            problems.join('; ') || 'The training has ended. The next segmentation uses the new weights.'
          );
        }
        return;
      }
      await new Promise(resolve => setTimeout(resolve, 2000));
    }
  },
};

function annotatingNotify(type, message) {
  const duration = type === 'error' ? 20000 : 5000;
  window.services.uiNotificationService.show({ title: 'MONAI Label', message, type, duration });
}
