"""Versions of the expensive recipes. Raising one re-runs all that was made with it; editing code alone re-runs nothing.

`tests/test_versions.py` fails when the code of a recipe changes and its version does not. Raise the version when
results change; when they do not (a comment, a name), only record the new code, as that test's message says.
"""

SYNTHETIC = 1
IMAGE_STORE = 2
DUPLICATES = 1
TRAINING = 2

CODE = {
    "SYNTHETIC": ["synthetic"],
    "IMAGE_STORE": ["imaging"],
    "DUPLICATES": [f"quality/{name}.py" for name in ("hashes", "pixels", "duplicates", "leaks")],
    "TRAINING": ["training", "models", "representation/activations.py", "cohorts.py", "subsets.py"],
}
"""Folders and modules of `medtransfer` that each version stands for."""
