"""What reviewers do with results: freeze them, take them up again, verify, audit and explain them."""
