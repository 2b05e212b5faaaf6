"""`python -m walkforward`: the name before `python -m course`."""

from walkforward.moved import moved

moved("walkforward.cli").main()
