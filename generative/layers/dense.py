"""Multilayer perceptrons, named by their hidden layers; those of protocols are among them."""

from generative.networks import NETWORKS, Mlp

for _name, _network, _words in (
    ("mlp-64x3", Mlp((64, 64, 64)), "3 x 64 ReLU: four have the weights of mlp-128x3"),
    ("mlp-64x3-leaky", Mlp((64,) * 3, "leaky_relu"), "3 x 64 leaky ReLU"),
    ("mlp-128", Mlp((128,)), "1 x 128 ReLU"),
    ("mlp-128x2", Mlp((128, 128)), "2 x 128 ReLU: generators of unrolled-paper"),
    ("mlp-128x3", Mlp((128, 128, 128)), "3 x 128 ReLU: generators of plane"),
    ("mlp-128x3-leaky", Mlp((128,) * 3, "leaky_relu"), "3 x 128 leaky ReLU: critics of plane"),
    ("mlp-128x2-tanh", Mlp((128, 128), "tanh"), "2 x 128 tanh: both of unrolled-notebook"),
    ("mlp-512x3", Mlp((512, 512, 512)), "3 x 512 ReLU"),
    ("mlp-400x4-norm", Mlp((400,) * 4, batch_norm=True), "4 x 400 ReLU: generators of pacgan"),
    ("maxout-200x3", Mlp((200, 200, 200), maxout=5), "3 x 200 maxout(5): critics of pacgan"),
):
    NETWORKS.register(_name, summary=f"{_words}; for points and images")(_network)
