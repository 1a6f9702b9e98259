"""Convolutions by the rules of DCGAN, named by their width."""

from generative.networks import NETWORKS, Dcgan

for _name, _network, _words in (
    ("conv-16", Dcgan(16), "width 16, two strided layers: both of small-dcgan"),
    ("conv-32", Dcgan(32), "width 32, two strided layers"),
    ("conv-32-to-4", Dcgan(32, layers=None, kernel=5), "width 32 down to 4 x 4: both of dcgan-32"),
    ("conv-64-to-4", Dcgan(64, layers=None, kernel=5), "width 64 down to 4 x 4"),
):
    NETWORKS.register(
        _name, paper="arXiv:1511.06434", summary=f"DCGAN's layers, {_words}; for images"
    )(_network)
