"""Training of the acoustic network on synthesised and recorded speech.

Material and augmentation come from `tritone_acoustic.data`; the architecture from `tritone_acoustic.network`.
"""
