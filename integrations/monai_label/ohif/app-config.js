// The viewer's settings in place of MONAI Label's. The objects come from the scripts beside this file.
window.config = {
  routerBasename: '/ohif/',
  showStudyList: true,
  extensions: [annotatingExtension],
  modes: [annotatingMode],
  showWarningMessageForCrossOrigin: true,
  showCPUFallbackMessage: true,
  showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  useSharedArrayBuffer: 'FALSE',
  defaultDataSourceName: 'dicomweb',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'dicomweb',
      configuration: {
        friendlyName: 'PACS',
        name: 'PACS',
        qidoRoot: '/proxy/dicom/qido',
        wadoRoot: '/proxy/dicom/wado',
        wadoUriRoot: '/proxy/dicom/wado',
        qidoSupportsIncludeField: true,
        supportsReject: false,
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: false,
        supportsFuzzyMatching: true,
        supportsWildcard: true,
        bulkDataURI: { enabled: true },
      },
    },
  ],
};
