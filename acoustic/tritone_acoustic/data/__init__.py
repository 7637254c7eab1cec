"""Training material: packages, texts, synthetic voices, telephone augmentation.

Nothing here knows the network; `tritone_acoustic.training` joins both.
"""
