"""Make `import torchvision` work where a CUDA build of it stands beside a CPU build of torch. Import before timm.

On such a machine torchvision's compiled operators cannot be loaded, and its Python part then fails over the missing
schema of `nms`. Nothing here uses those operators, but timm imports torchvision; so on that one error their schemas are
declared and the import is tried again. Calling them still raises. Where the builds match, nothing happens.
"""

import sys

import torch

try:
    import torchvision
except RuntimeError as error:
    if "operator torchvision::nms does not exist" not in str(error):
        raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    _library = torch.library.Library("torchvision", "DEF")  # the schemas live as long as this object
    _library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401
