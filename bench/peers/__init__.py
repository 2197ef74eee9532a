"""The peers: ways to train the same replicates, each in the variants that might be its best."""

from collections.abc import Mapping

from bench.peers.base import Peer, Train, Variant
from bench.peers.classic import CLASSIC, COMPILED_MODULE
from bench.peers.jax_scan import JAX
from bench.peers.minibatches import MINIBATCH_PEERS
from bench.peers.sklearn_mlp import SKLEARN
from bench.peers.vmapped import OURS, VMAP_COMPILED, VMAP_EAGER

PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (OURS, VMAP_COMPILED, VMAP_EAGER, JAX, CLASSIC, COMPILED_MODULE, SKLEARN)
}
"""Every peer by name, ours first."""

__all__ = ["CLASSIC", "JAX", "MINIBATCH_PEERS", "OURS", "PEERS", "Peer", "Train", "Variant"]
