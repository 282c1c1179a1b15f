"""The table of loss terms: to add one, write its file and give it a line here.

The order is that of the logs, the gradient norms and the report's plots. The classes stand here by name, so that a
report can ask for the table without loading PyTorch.
"""

# Compare the student with the mask.
SUPERVISED = {
    "dice": "custom_components.losses.dice.PooledDiceLoss",
    "lovasz": "custom_components.losses.lovasz.LovaszSoftmaxLoss",
    "cross_entropy": "custom_components.losses.cross_entropy.CrossEntropyLoss",
}
# Compare the student with its teachers.
DISTILLING = {
    "importance": "custom_components.losses.importance.ImportanceMapLoss",
    "region_contrast": "custom_components.losses.region_contrast.RegionContrastLoss",
    "prediction": "custom_components.losses.prediction.PredictionDistillationLoss",
}
TERMS = {**SUPERVISED, **DISTILLING}
