"""The networks of pix2pix, CycleGAN and DCGAN against the counts and shapes that are published.

Counts and shapes are taken on PyTorch's device `meta`, where a network has no weights to hold.
"""

from itertools import pairwise

import pytest
import torch
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from generative import PROTOCOLS, TRANSLATION_PROTOCOLS
from generative.networks import Dcgan
from generative.translators import Beside, Noise, PatchGan, Residual, Resnet, Unet

PIX2PIX_COUNTS = "github.com/junyanz/pytorch-CycleGAN-and-pix2pix/issues/1152"
CYCLEGAN_COUNTS = "github.com/junyanz/pytorch-CycleGAN-and-pix2pix/issues/45"
CYCLEGAN_LATER = "github.com/junyanz/pytorch-CycleGAN-and-pix2pix/issues/169"
DCGAN_CODE = "github.com/Newmu/dcgan_code/blob/master/faces/train_uncond_dcgan.py"

GREY, COLOUR = (1, 256, 256), (3, 256, 256)
SCALES_AND_SHIFTS = 2 * (64 + 128 + 256 + 18 * 256 + 128 + 64)
"""Of the 23 norms of a CycleGAN generator with 9 blocks."""


def _meta(build, *arguments):
    """A network without weights."""
    with torch.device("meta"):
        return build(*arguments)


def _count(network):
    return sum(weight.numel() for weight in network.parameters())


def _shape(network, *shape):
    """Of the output for an input of a shape."""
    return tuple(_meta(lambda: network(torch.empty(shape))).shape)


# Network; arguments of its `build`; a batch of inputs; its outputs; its weights, and to how many
# of them they are known; where that is published.
PUBLISHED = [
    (Unet(64), (GREY, GREY), (2, *GREY), (2, *GREY), 54.408e6, 500, PIX2PIX_COUNTS),
    (PatchGan(64, 3), (2, GREY), (2, 2, 256, 256), (2, 30 * 30), 2.765e6, 500, PIX2PIX_COUNTS),
    (
        Unet(64),
        ((1, 64, 64), (1, 64, 64)),
        (2, 1, 64, 64),
        (2, 1, 64, 64),
        29.238e6,
        500,
        PIX2PIX_COUNTS,
    ),
    (
        PatchGan(64, 2),
        (2, (1, 64, 64)),
        (2, 2, 64, 64),
        (2, 14 * 14),
        0.662e6,
        500,
        PIX2PIX_COUNTS,
    ),
    (
        Resnet(64, 9),
        (COLOUR, COLOUR),
        (2, *COLOUR),
        (2, *COLOUR),
        11_388_675 - SCALES_AND_SHIFTS,
        0,
        CYCLEGAN_COUNTS,
    ),
    (Resnet(64, 9), (COLOUR, COLOUR), (2, *COLOUR), (2, *COLOUR), 11_378_179, 0, CYCLEGAN_LATER),
]


@pytest.mark.parametrize(
    ("network", "arguments", "inputs", "outputs", "count", "off", "source"),
    PUBLISHED,
    ids=[f"{type(case[0]).__name__}-{case[4]:.0f}" for case in PUBLISHED],
)
def test_published_networks(network, arguments, inputs, outputs, count, off, source):
    """Weights and shapes are those that others report of the same network."""
    built = _meta(network.build, *arguments)
    assert abs(_count(built) - count) <= off, source
    assert _shape(built, *inputs) == outputs


def test_what_the_later_code_leaves_out():
    """The scales and shifts of the instance norms make the whole difference."""
    assert SCALES_AND_SHIFTS == 10_496
    built = _meta(Resnet(64, 9).build, COLOUR, COLOUR)
    norms = [layer for layer in built.modules() if isinstance(layer, nn.InstanceNorm2d)]
    assert 2 * sum(layer.num_features for layer in norms) == SCALES_AND_SHIFTS
    assert not any(layer.affine or layer.track_running_stats for layer in norms)


def _convolution(inputs, outputs, kernel, bias):
    return inputs * outputs * kernel**2 + (outputs if bias else 0)


def _unet_count(width, side, first, second):
    """By the layers of Isola et al. 2017, appendix 6.1.1, with batch norm: down, and up again
    from twice the channels; no norm at the outermost layers and none at the bottleneck.
    """
    depth = side.bit_length() - 1
    widths = [width * min(8, 2**i) for i in range(depth)]
    down = sum(_convolution(a, b, 4, False) for a, b in pairwise([first, *widths]))
    up = _convolution(widths[-1], widths[-2], 4, False)
    up += sum(_convolution(2 * b, a, 4, False) for a, b in pairwise(widths[:-1]))
    up += _convolution(2 * widths[0], second, 4, True)
    norms = 2 * sum(widths[1:-1]) + 2 * sum(widths[:-1])
    return down + up + norms


@pytest.mark.parametrize("width", [1, 3, 8])
@pytest.mark.parametrize("side", [8, 32, 256])
@pytest.mark.parametrize(("first", "second"), [(1, 1), (3, 1), (1, 3)])
def test_a_unet_has_the_layers_of_its_paper(width, side, first, second):
    """Whatever its width, its depth and the channels of the two domains."""
    built = _meta(Unet(width).build, (first, side, side), (second, side, side))
    assert _count(built) == _unet_count(width, side, first, second)
    assert _shape(built, 2, first, side, side) == (2, second, side, side)


@pytest.mark.parametrize("width", [2, 64])
@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_a_critic_of_patches_has_the_layers_of_its_paper(width, layers, norm):
    """C64-C128-C256-C512 for three strides, eight times the first width at most; a bias where no
    batch norm has one.
    """
    widths = [width * min(8, 2**i) for i in range(layers + 1)]
    wanted = _convolution(6, width, 4, True) + _convolution(widths[-1], 1, 4, True)
    wanted += sum(_convolution(a, b, 4, norm == "instance") for a, b in pairwise(widths))
    wanted += 2 * sum(widths[1:]) if norm == "batch" else 0
    assert _count(_meta(PatchGan(width, layers, norm).build, 6, COLOUR)) == wanted


# Layers, and the side that the pix2pix paper (appendix 6.1.2) names for them.
FIELDS = [(3, 70), (2, 34), (1, 16)]


@pytest.mark.parametrize(("layers", "field"), FIELDS)
def test_a_patch_is_as_large_as_its_paper_says(layers, field):
    """One logit has a gradient to every pixel of one square of the image and to no other."""
    critic, side = PatchGan(2, layers), 2 * field
    assert critic.receptive_field == field
    with forked(0):
        built = critic.build(3, (3, side, side)).double().eval()
    images = torch.rand(1, 3, side, side, generator=stream("patch"), dtype=torch.float64)
    logits = built(images.requires_grad_())
    across = round(logits.shape[1] ** 0.5)
    middle = across * (across // 2) + across // 2
    seen = torch.autograd.grad(logits[0, middle], images)[0][0].abs().amax(0) > 0
    rows, columns = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
    assert len(rows) == len(columns) == field
    assert int(seen.sum()) == field**2
    assert rows[-1] - rows[0] == columns[-1] - columns[0] == field - 1


@pytest.mark.parametrize(("layers", "field"), FIELDS)
def test_neighbouring_patches_are_a_stride_apart(layers, field):
    """The next logit sees the square 2^layers pixels on."""
    side = 2 * field
    with forked(0):
        built = PatchGan(2, layers).build(1, (1, side, side)).double().eval()
    images = torch.rand(1, 1, side, side, generator=stream("patch"), dtype=torch.float64)
    logits = built(images.requires_grad_())
    middle = round(logits.shape[1] ** 0.5) // 2
    firsts = []
    for column in (middle, middle + 1):
        at = column * round(logits.shape[1] ** 0.5) + middle
        seen = torch.autograd.grad(logits[0, at], images, retain_graph=True)[0][0, 0] != 0
        firsts.append(int(seen.any(1).nonzero()[0, 0]))
    assert firsts[1] - firsts[0] == 2**layers


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_critic_needs_room_for_a_patch(layers):
    """One patch is left of the smallest image, and one pixel less is refused."""
    least = 3 * 2**layers
    built = _meta(PatchGan(4, layers).build, 3, (3, least, least))
    assert _shape(built, 2, 3, least, least) == (2, 1)
    for shape in ((3, least - 1, least), (3, least, least - 1), (3, 1, 1)):
        with pytest.raises(UsageError, match=rf"{least} pixels a side at least, got \[3, "):
            PatchGan(4, layers).build(3, shape)


@pytest.mark.parametrize("shape", [(1, 24, 24), (1, 25, 31), (1, 16, 40)])
@pytest.mark.parametrize("layers", [1, 2])
def test_images_need_not_be_square_for_a_critic(shape, layers):
    """Every image has a logit a patch."""
    built = _meta(PatchGan(4, layers).build, 1, shape)
    height, width = (side // 2**layers - 2 for side in shape[1:])
    assert _shape(built, 3, *shape) == (3, height * width)


def _sizes(network, shape, kind):
    """The sides of what goes into each layer of a kind, in order."""
    seen = []

    def look(_, inputs):
        seen.append(tuple(inputs[0].shape[2:]))

    hooks = [m.register_forward_pre_hook(look) for m in network.modules() if isinstance(m, kind)]
    _shape(network, 1, *shape)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("side", [8, 16, 64, 256])
def test_a_unet_goes_down_to_one_pixel(side):
    """By halves, and up again by doubles."""
    built = _meta(Unet(2).build, (3, side, side), (3, side, side))
    halves = [side >> i for i in range(side.bit_length())]
    assert halves[-1] == 1
    assert _sizes(built, (3, side, side), nn.Conv2d) == [(n, n) for n in halves[:-1]]
    assert _sizes(built, (3, side, side), nn.ConvTranspose2d) == [(n, n) for n in halves[:0:-1]]


def test_a_unet_has_no_norm_where_its_paper_has_none():
    """Neither after the first layer down, nor after the last one up, nor at one pixel."""
    built = _meta(Unet(4).build, (3, 32, 32), (3, 32, 32))
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
    order = [kinds.index(type(m)) for m in built.modules() if isinstance(m, kinds)]
    assert order == [0, 0, 2, 0, 2, 0, 2, 0, 1, 2, 1, 2, 1, 2, 1, 2, 1]
    slopes = {m.negative_slope for m in built.modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.2}


@pytest.mark.parametrize("side", [32, 256])
@pytest.mark.parametrize("noise", [0, 1, 2, 3])
def test_noise_is_at_the_innermost_layers_up(side, noise):
    """As many as the network says, from the bottleneck on: the paper's decoder is
    CD512-CD1024-CD1024-C1024-..., in which D is dropout (appendix 6.1.1), and so is the authors'
    code (phillipi/pix2pix, models.lua, layers d1, d2, d3).
    """
    built = _meta(Unet(4, noise).build, (3, side, side), (3, side, side))
    kinds = (nn.ConvTranspose2d, Noise)
    order = ["UD"[kinds.index(type(m))] for m in built.modules() if isinstance(m, kinds)]
    depth = side.bit_length() - 1
    assert "".join(order) == "UD" * noise + "U" * (depth - noise)


def _unet(noise=0, norm="batch", side=32):
    """A U-Net in evaluation mode whose batch norms have seen a batch, and images."""
    images = torch.rand(3, 3, side, side, generator=stream("unet"))
    with forked(0):
        built = Unet(4, noise, norm).build((3, side, side), (3, side, side))
        built(images)
    return built.eval(), images


@pytest.mark.parametrize("closed", range(4))
def test_skips_carry_what_inner_layers_do_not(closed):
    """With nothing coming through from a level on, all levels outside still see the image."""
    built, images = _unet()
    levels = [layer for layer in built.modules() if isinstance(layer, Beside)]
    assert len(levels) == 4
    with torch.no_grad():
        for weight in levels[closed].network.parameters():
            weight.zero_()
    one, other = built(images[:1]), built(images[1:2])
    assert (one - other).abs().max() > 1e-3


def test_without_skips_nothing_passes_a_closed_bottleneck(monkeypatch):
    """So that it is the skips that carry: cut too, every image gives the same."""
    built, images = _unet()
    levels = [layer for layer in built.modules() if isinstance(layer, Beside)]
    with torch.no_grad():
        for weight in levels[-1].network.parameters():
            weight.zero_()
    monkeypatch.setattr(
        Beside, "forward", lambda self, x: torch.cat([torch.zeros_like(x), self.network(x)], 1)
    )
    made = built(images)
    torch.testing.assert_close(made[1:], made[:1].expand(2, -1, -1, -1), rtol=0, atol=1e-6)


def test_what_comes_in_is_beside_what_is_made():
    """Unchanged, as the first channels, whatever happens to it further in."""
    level = Beside(nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(2, 3, 3, padding=1)))
    x = torch.randn(4, 2, 5, 5, generator=stream("beside"))
    kept = x.clone()
    made = level(x)
    assert made.shape == (4, 5, 5, 5)
    assert torch.equal(made[:, :2], kept)
    assert torch.equal(made[:, 2:], level.network(kept))


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_noise_is_on_in_evaluation_and_of_the_global_generator(norm):
    """The same state of it, the same images; another, others; without noise, always the same."""
    noisy, images = _unet(2, norm)
    plain, _ = _unet(0, norm)
    for built, same in ((noisy, False), (plain, True)):
        with forked(1):
            first, after = built(images), built(images)
        with forked(1):
            again = built(images)
        with forked(2):
            other = built(images)
        assert torch.equal(first, again)
        assert torch.equal(first, other) == same
        assert torch.equal(first, after) == same


def test_noise_drops_half_and_doubles_the_rest():
    """In expectation nothing changes."""
    noise = Noise(0.5).eval()
    with forked(0):
        made = noise(torch.ones(10_000))
    assert set(made.unique().tolist()) == {0.0, 2.0}
    assert float(made.mean()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((3, 28, 28), (3, 28, 28)),
        ((3, 4, 4), (3, 4, 4)),
        ((3, 32, 16), (3, 32, 16)),
        ((3, 32, 32), (3, 16, 16)),
        ((32, 32), (32, 32)),
        ((2,), (2,)),
        ((3, 0, 0), (3, 0, 0)),
    ],
)
def test_what_a_unet_can_not_do(first, second):
    """It says what it wants, what it got and what to do."""
    with pytest.raises(UsageError, match=r"same power of 2, 8 at least, got \[.*bring them to"):
        Unet(4).build(first, second)


def test_a_residual_generator_works_at_a_quarter_of_the_side():
    """256 pixels become 64 by two strides, in which nine blocks keep the size and the channels."""
    built = _meta(Resnet(64, 9).build, COLOUR, COLOUR)
    assert _sizes(built, COLOUR, Residual) == [(64, 64)] * 9
    inside = [m.in_channels for m in built.modules() if isinstance(m, nn.Conv2d)]
    assert inside == [3, 64, 128, *[256] * 18, 64]


def test_a_residual_block_without_weights_is_the_identity():
    """It adds to what came in, and reflects at the border: a constant stays one."""
    with forked(0):
        block = Residual(2, "batch")
    x = torch.randn(3, 2, 6, 6, generator=stream("residual"))
    constant = block.eval()(torch.ones(1, 2, 6, 6))
    torch.testing.assert_close(constant, constant[:, :, :1, :1].expand(1, 2, 6, 6))
    with torch.no_grad():
        for weight in block.parameters():
            weight.zero_()
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize("shape", [(3, 12, 20), (1, 8, 8), (2, 28, 28)])
@pytest.mark.parametrize("strides", [1, 2])
def test_a_residual_generator_keeps_the_sides(shape, strides):
    """Of any image whose sides can be halved so often, squares or not."""
    network = _meta(Resnet(2, 1, strides=strides).build, shape, (4, *shape[1:]))
    assert _shape(network, 2, *shape) == (2, 4, *shape[1:])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((3, 30, 28), (3, 30, 28)),
        ((3, 4, 4), (3, 4, 4)),
        ((3, 32, 32), (3, 16, 16)),
        ((32, 32), (32, 32)),
        ((), ()),
    ],
)
def test_what_a_residual_generator_can_not_do(first, second):
    """It says what it wants, what it got and what to do."""
    with pytest.raises(UsageError, match=r"multiples of 4, 8 at least, got \[.*another size"):
        Resnet(4, 1).build(first, second)


@pytest.mark.parametrize("network", [Unet(4), Unet(4, norm="instance"), Resnet(4, 1)])
def test_translations_are_in_the_range_of_images(network):
    """Even of wild weights, both ends are reached and nothing is beyond."""
    with forked(0):
        built = network.build((1, 16, 16), (3, 16, 16))
        with torch.no_grad():
            for weight in built.parameters():
                weight.mul_(100)
        made = built(torch.rand(4, 1, 16, 16))
    assert made.shape == (4, 3, 16, 16)
    assert made.min() == 0
    assert made.max() == 1


# Isola et al. 2017, sections 3.2 to 3.4 and appendix 6.2; Zhu et al. 2017, sections 4, 5.2 and
# appendix 7.
PAPERS = {
    "pix2pix": {"batch": 1, "l1_weight": 100.0, "buffer": 0},
    "cyclegan": {"batch": 1, "cycle_weight": 10.0, "identity_weight": 5.0, "buffer": 50},
}


@pytest.mark.parametrize("name", list(PAPERS))
def test_the_papers_protocols(name):
    """Networks, Adam and weights of the losses as the papers have them."""
    protocol = TRANSLATION_PROTOCOLS[name].part
    assert {key: getattr(protocol, key) for key in PAPERS[name]} == PAPERS[name]
    assert (protocol.generator_adam.lr, protocol.generator_adam.betas) == (2e-4, (0.5, 0.999))
    assert protocol.critic.receptive_field == 70
    initial = protocol.initialisation
    assert (initial.kind, initial.value) == ("normal", 0.02)
    generator = {"pix2pix": Unet(64, 3, "instance"), "cyclegan": Resnet(64, 9)}[name]
    assert protocol.generator == generator
    assert protocol.critic == PatchGan(64, 3, "instance")


def test_instance_norm_gives_up_its_scales_and_shifts_alone():
    """pix2pix as its protocol has it differs from the published counts by the two weights that
    each channel's batch norm has, against a bias for each in its convolution.
    """
    protocol = TRANSLATION_PROTOCOLS["pix2pix"].part
    for own, batch, arguments in (
        (protocol.generator, Unet(64), (COLOUR, COLOUR)),
        (protocol.critic, PatchGan(64, 3), (6, COLOUR)),
    ):
        first, second = (_meta(network.build, *arguments) for network in (own, batch))
        channels = sum(m.num_features for m in second.modules() if isinstance(m, nn.BatchNorm2d))
        biases = [
            m.out_channels
            for m in first.modules()
            if isinstance(m, nn.Conv2d | nn.ConvTranspose2d) and m.bias is not None
        ]
        plain = [
            m.out_channels
            for m in second.modules()
            if isinstance(m, nn.Conv2d | nn.ConvTranspose2d) and m.bias is not None
        ]
        assert _count(first) - sum(biases) == _count(second) - sum(plain) - 2 * channels


@pytest.mark.parametrize("name", list(TRANSLATION_PROTOCOLS))
def test_a_protocol_refuses_what_its_networks_can_not_do(name):
    """Before anything is trained, and without touching the global generator."""
    protocol = TRANSLATION_PROTOCOLS[name].part
    with forked(0):
        before = torch.get_rng_state()
        protocol.refuse((3, 32, 32))
        for shape in ((3, 4, 4), (2,)):
            with pytest.raises(UsageError, match="got"):
                protocol.refuse(shape)
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", list(TRANSLATION_PROTOCOLS))
def test_weights_start_as_the_papers_have_them(name):
    """From N(0, 0.02), biases at 0."""
    protocol = TRANSLATION_PROTOCOLS[name].part
    with forked(0):
        network = PatchGan(8, 2, protocol.critic.norm).build(3, (3, 32, 32))
        protocol.initialisation.apply(network, stream("start"))
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    values = torch.cat([m.weight.detach().flatten() for m in convolutions])
    assert float(values.std()) == pytest.approx(0.02, rel=0.05)
    assert float(values.mean()) == pytest.approx(0, abs=1e-3)
    assert all((m.bias == 0).all() for m in convolutions if m.bias is not None)


DCGAN_SIDES, DCGAN_WIDTHS, DCGAN_LATENT = (4, 8, 16, 32, 64), (1024, 512, 256, 128), 100


def _dcgan_kernels(channels):
    """Values of the 5 x 5 kernels between the image and 1024 channels: of both players alike."""
    return sum(_convolution(a, b, 5, False) for a, b in pairwise((*DCGAN_WIDTHS, channels)))


def _dcgan(shape):
    protocol = PROTOCOLS["dcgan"].part
    assert protocol.latent == DCGAN_LATENT
    generator = _meta(protocol.generator.generator, DCGAN_LATENT, shape)
    return generator, _meta(protocol.critic.encoder, shape, 1)


def test_the_generator_of_dcgan():
    """Figure 1 of the paper (arXiv:1511.06434): a projection of 100 z to 4 x 4 x 1024 and four
    5 x 5 transposed convolutions; batch norm after all but the last, which has a bias.
    """
    generator, _ = _dcgan((3, 64, 64))
    projection = DCGAN_LATENT * DCGAN_WIDTHS[0] * 4 * 4
    norms = 2 * sum(DCGAN_WIDTHS)
    assert _count(generator) == projection + _dcgan_kernels(3) + norms + 3
    assert _shape(generator, 2, DCGAN_LATENT) == (2, 3, 64, 64)
    assert _sizes_of_codes(generator) == [
        (width, side, side) for width, side in zip(DCGAN_WIDTHS, DCGAN_SIDES, strict=False)
    ]


def _sizes_of_codes(generator):
    """Channels, height and width of what goes into each transposed convolution."""
    seen = []
    for layer in generator.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            layer.register_forward_pre_hook(lambda _, x: seen.append(tuple(x[0].shape[1:])))
    _shape(generator, 2, DCGAN_LATENT)
    return seen


def test_the_critic_of_dcgan():
    """The same kernels the other way, and one dense layer; no batch norm at the input."""
    _, critic = _dcgan((3, 64, 64))
    norms, head = 2 * sum(DCGAN_WIDTHS[:-1]), DCGAN_WIDTHS[0] * 4 * 4
    assert _count(critic) == _dcgan_kernels(3) + norms + head + DCGAN_WIDTHS[-1] + 1
    assert _shape(critic, 2, 3, 64, 64) == (2, 1)
    first = [type(layer) for layer in critic.children()][1:3]
    assert first == [nn.Conv2d, nn.LeakyReLU]


def test_how_dcgan_differs_from_its_authors_code():
    """It has a scale and a shift for each value of the projection, not for each channel, and no
    bias (see `DCGAN_CODE`): the weights that make images are as many.
    """
    generator, critic = _dcgan((3, 64, 64))
    projected = DCGAN_WIDTHS[0] * 4 * 4
    of_authors = DCGAN_LATENT * projected + 2 * projected + _dcgan_kernels(3)
    of_authors += 2 * sum(DCGAN_WIDTHS[1:])
    assert _count(generator) - of_authors == 3 - 2 * (projected - DCGAN_WIDTHS[0])
    of_authors = _dcgan_kernels(3) + 2 * sum(DCGAN_WIDTHS[:-1]) + projected
    assert _count(critic) - of_authors == DCGAN_WIDTHS[-1] + 1


def test_the_protocol_of_dcgan():
    """Section 4 of the paper: batches of 128, Adam 2e-4 and 0.5, N(0, 0.02), z from a cube."""
    protocol = PROTOCOLS["dcgan"].part
    for adam in (protocol.generator_adam, protocol.critic_adam):
        assert (adam.lr, adam.betas[0]) == (2e-4, 0.5)
    assert protocol.batch == 128
    assert (protocol.initialisation.kind, protocol.initialisation.value) == ("normal", 0.02)
    codes = protocol.codes(2_000, stream("codes"))
    assert codes.shape == (2_000, 100)
    assert -1 <= codes.min() < -0.999
    assert 0.999 < codes.max() <= 1
    assert float(codes.mean()) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("layers", [None, 1, 3])
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 64, 32), (2, 8, 24)])
def test_a_dcgan_of_any_depth(kernel, layers, shape):
    """Critic and generator have the same sides; without a number of layers the shorter one ends
    at 4.
    """
    network = Dcgan(2, layers=layers, kernel=kernel)
    generator = _meta(network.generator, 7, shape)
    critic = _meta(network.encoder, shape, 5)
    assert _shape(generator, 3, 7) == (3, *shape)
    assert _shape(critic, 3, *shape) == (3, 5)
    (head,) = [m for m in critic.modules() if isinstance(m, nn.Linear)]
    strides = sum(isinstance(m, nn.Conv2d) for m in critic.modules())
    if layers is None:
        assert min(shape[1:]) / 2**strides == 4
    else:
        assert strides == layers
    left = (shape[1] >> strides) * (shape[2] >> strides)
    assert head.in_features == 2 * 2 ** (strides - 1) * left


@pytest.mark.parametrize("shape", [(1, 5, 5), (3, 28, 28), (1, 7, 13), (2, 33, 6)])
def test_five_by_five_kernels_take_any_side(shape):
    """Halved and rounded up on the way down, the same sides come up again."""
    network = Dcgan(2, layers=None, kernel=5)
    assert _shape(_meta(network.generator, 7, shape), 3, 7) == (3, *shape)
    assert _shape(_meta(network.encoder, shape, 1), 3, *shape) == (3, 1)
    refused = (3, 5, 4)
    with pytest.raises(UsageError, match=r"at least 5, got examples of shape \[3, 5, 4\]"):
        network.generator(7, refused)
