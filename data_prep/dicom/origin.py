"""The statements of origin and intended use that every result of this project holds."""

MANUFACTURER = "Prostate distillation"
RESEARCH_USE = "Research use only, not for diagnosis"
