"""The course on the web: pages of the stored notebooks, the question bank to practise, the katas to run."""
