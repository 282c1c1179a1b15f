// The mode MONAI Label as annotators need it: it opens the series that the server segments, in the acquired slices,
// and has a brush, an eraser and a button that submits the label.

const BRUSHES = ['CircularBrush', 'CircularEraser'];
const MPR_TOOLS = 'mpr'; // the tool group of the mode's viewports
let servedSeries = [];
let brushMm = 4;

function setBrush(mm) {
  brushMm = Math.min(Math.max(mm, 1), 30);
  window.commandsManager.runCommand('setBrushSize', { value: brushMm, toolNames: BRUSHES }, 'SEGMENTATION');
}

async function submitLabel() {
  try {
    const { series, nifti } = labelmap.read();
    await monaiLabelServer.submit(series, nifti);
    annotatingNotify('success', 'The label is stored in the PACS.');
  } catch (fault) {
    annotatingNotify('error', `The label is not stored: ${fault.message}`);
  }
}

const annotatingExtension = {
  id: 'annotating',

  getHangingProtocolModule({ servicesManager }) {
    const { hangingProtocolService } = servicesManager.services;
    hangingProtocolService.addCustomAttribute('isServed', 'Series that the server segments', displaySet =>
      servedSeries.includes(displaySet.SeriesInstanceUID)
    );
    const protocol = structuredClone(hangingProtocolService.getProtocolById('mpr'));
    protocol.id = 'annotating';
    protocol.displaySetSelectors.activeDisplaySet.seriesMatchingRules.push({
      weight: 10,
      attribute: 'isServed',
      constraint: { equals: { value: true } },
    });
    protocol.stages[0].viewports[0].viewportOptions.orientation = 'acquisition';
    return [{ name: protocol.id, protocol }];
  },
};

function annotatingButton(id, icon, label, commands, evaluate = 'evaluate.action') {
  return { id, uiType: 'ohif.radioGroup', props: { icon, label, commands, evaluate } };
}

/** A button that chooses the tool with its id. */
function toolButton(id, icon, label) {
  const commands = { commandName: 'setToolActiveToolbar', commandOptions: { toolGroupIds: [MPR_TOOLS] } };
  return annotatingButton(id, icon, label, commands, 'evaluate.cornerstoneTool');
}

const ANNOTATING_BUTTONS = [
  toolButton('CircularBrush', 'icon-tool-brush', 'Brush'),
  toolButton('CircularEraser', 'icon-tool-eraser', 'Eraser'),
  annotatingButton('SmallerBrush', 'ui-arrow-down', 'Smaller brush', () => setBrush(brushMm - 1)),
  annotatingButton('LargerBrush', 'ui-arrow-up', 'Larger brush', () => setBrush(brushMm + 1)),
  annotatingButton('SubmitLabel', 'icon-upload', 'Submit Label', submitLabel),
];

// The viewer takes the first of several modes with one id.
const annotatingMode = {
  id: '@ohif/mode-monai-label',

  async modeFactory({ loadModules, ...options }) {
    const [shipped] = await loadModules([this.id]);
    const mode = shipped.modeFactory(options);
    const [route, ...others] = mode.routes;
    return {
      ...mode,
      hangingProtocol: 'annotating',
      routes: [{ ...route, init: findServedSeries }, ...others],
      onModeEnter(managers) {
        mode.onModeEnter(managers);
        const { toolbarService } = managers.servicesManager.services;
        toolbarService.addButtons(ANNOTATING_BUTTONS);
        // The section exists, so this adds to its buttons.
        toolbarService.createButtonSection('primary', ANNOTATING_BUTTONS.map(button => button.id));
        setBrush(brushMm);
      },
    };
  },
};

/** Ask for the series before the viewer chooses one. */
async function findServedSeries({ studyInstanceUIDs }) {
  servedSeries = (await Promise.all(studyInstanceUIDs.map(monaiLabelServer.series))).flat();
}
