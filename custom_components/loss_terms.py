"""The table of loss terms: to add a term, write its file and add a line to this table.

Logs, gradient norms and the report's plots show the terms in the order of this table. The table holds class names as
text, so that a report can read it without loading PyTorch.
"""

# These terms compare the student with the mask.
SUPERVISED = {
    "dice": "custom_components.losses.dice.PooledDiceLoss",
    "lovasz": "custom_components.losses.lovasz.LovaszSoftmaxLoss",
    "cross_entropy": "custom_components.losses.cross_entropy.CrossEntropyLoss",
}
# These terms compare the student with its teachers.
DISTILLING = {
    "importance": "custom_components.losses.importance.ImportanceMapLoss",
    "region_contrast": "custom_components.losses.region_contrast.RegionContrastLoss",
    "prediction": "custom_components.losses.prediction.PredictionDistillationLoss",
}
TERMS = {**SUPERVISED, **DISTILLING}
