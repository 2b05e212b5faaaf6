"""What turns src/lessons/*.py into notebooks and refuses the ones that are wrong."""
