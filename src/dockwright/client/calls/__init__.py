"""Every endpoint once: a function a call, named as the Engine API's operation, returning a `Call` that either face sends."""
