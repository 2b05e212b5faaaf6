"""`python -m walkforward.serving MODEL_URI` serves a model."""

from walkforward.serving.command import main

main()
