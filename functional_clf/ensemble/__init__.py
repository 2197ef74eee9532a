"""Many seeds of one network as one scikit-learn classifier."""
