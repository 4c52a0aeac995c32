"""Waveforms as items: electrocardiograms from WFDB records to rows of a frozen encoder."""
