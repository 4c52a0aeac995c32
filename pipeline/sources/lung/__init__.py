"""CT and PET series, Chinese text and the pathology of the lung."""
