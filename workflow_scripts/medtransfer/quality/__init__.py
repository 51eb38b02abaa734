"""What is in a cohort, and what should not be: duplicated images, leaks between splits, counts, a page for each."""
