"""What every result of this project says about itself."""

MANUFACTURER = "Prostate distillation"
RESEARCH_USE = "Research use only, not for diagnosis"
