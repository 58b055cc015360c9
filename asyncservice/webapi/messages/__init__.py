"""Functions and actions: what there is (registry), how they are called (dispatch), and one module for each group."""
