"""One file a stage: read params and inputs, call, write outputs."""
