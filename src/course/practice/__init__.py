"""Interview practice: the bank of questions, cards in a notebook, sittings in the terminal, reviews."""
