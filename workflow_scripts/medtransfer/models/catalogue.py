"""The backbones by name, and their sizes by formula. Imports nothing: the workflow reads it whenever it is parsed."""

from dataclasses import dataclass

from medtransfer.errors import UserError


@dataclass(frozen=True)
class Backbone:
    """A pre-activation bottleneck ResNet of the BiT family.

    Args:
        units: Residual units in each of the four stages.
        width: Channels of the first stage; every later stage has twice as many as the one before it.
        groups: Groups of every GroupNorm.
    """

    units: tuple[int, int, int, int]
    width: int
    groups: int

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Output channels of the four stages."""
        return self.width, 2 * self.width, 4 * self.width, 8 * self.width

    @property
    def bottlenecks(self) -> tuple[int, ...]:
        """Channels inside the units of each stage: a quarter of the stage's, and at least 8, as timm has it."""
        return tuple(max(8, channels // 4) for channels in self.channels)

    @property
    def stem(self) -> int:
        """Channels of the first convolution: as many as in the first stage's units."""
        return self.bottlenecks[0]

    @property
    def features(self) -> int:
        """Channels that the classifier sees."""
        return self.channels[-1]


# Kolesnikov et al. 2020 (arXiv 1912.11370): R<depth>x<width factor>.
BIT = {
    f"r{depth}x{factor}": Backbone(units, width=256 * factor, groups=32)
    for depth, factor, units in (
        (50, 1, (3, 4, 6, 3)),
        (101, 1, (3, 4, 23, 3)),
        (50, 3, (3, 4, 6, 3)),
        (101, 3, (3, 4, 23, 3)),
        (152, 2, (3, 8, 36, 3)),
        (152, 4, (3, 8, 36, 3)),
    )
}

# r<depth>w<channels of the first stage>: members of the family that a CPU trains. They deviate from BiT in two points:
# fewer groups, because 32 do not divide their 8 to 16 narrowest channels (two channels a group there, as in R50x1,
# which normalises 64 channels in 32 groups); and, below 32 channels, stem and bottleneck stay at 8.
SMALL = {
    f"r{depth}w{width}": Backbone(units, width, groups)
    for depth, width, groups, units in (
        (14, 16, 4, (1, 1, 1, 1)),
        (14, 32, 4, (1, 1, 1, 1)),
        (14, 64, 8, (1, 1, 1, 1)),
        (26, 32, 4, (2, 2, 2, 2)),
        (26, 64, 8, (2, 2, 2, 2)),
    )
}

BACKBONES = SMALL | BIT


def find(backbone: str) -> Backbone:
    """The backbone of that name, or a UserError that lists the names there are."""
    if backbone not in BACKBONES:
        raise UserError(f"unknown backbone {backbone!r}; there are: {', '.join(BACKBONES)}")
    return BACKBONES[backbone]


def parameter_count(backbone: str, classes: int = 0) -> int:
    """Trainable parameters with a classifier of that many classes; 0 classes count the body alone."""
    net = find(backbone)
    count = 3 * 7 * 7 * net.stem
    incoming = net.stem
    for units, channels, bottleneck in zip(net.units, net.channels, net.bottlenecks, strict=True):
        count += incoming * channels  # the projection of the first unit
        for _ in range(units):
            convolutions = incoming * bottleneck + 3 * 3 * bottleneck**2 + bottleneck * channels
            norms = 2 * (incoming + bottleneck + bottleneck)
            count += convolutions + norms
            incoming = channels
    head = net.features * classes + classes
    return count + 2 * net.features + head


def multiply_adds(backbone: str, size: int) -> int:
    """Multiply-adds of the convolutions in one forward pass of an image of size x size pixels."""
    net = find(backbone)
    side = -(-size // 2)
    count = 3 * 7 * 7 * net.stem * side**2
    side, incoming = -(-side // 2), net.stem
    for stage, (units, channels, bottleneck) in enumerate(zip(net.units, net.channels, net.bottlenecks, strict=True)):
        for unit in range(units):
            before, side = side, -(-side // 2) if stage and not unit else side
            count += incoming * bottleneck * before**2 + (3 * 3 * bottleneck**2 + bottleneck * channels) * side**2
            count += 0 if unit else incoming * channels * side**2  # the projection
            incoming = channels
    return count
