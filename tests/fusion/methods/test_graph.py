"""Graphs of similar samples: who is linked, what a convolution computes, what is stored."""

import pytest
import torch
from omnifuse.fusion.methods.graph import GraphNetwork, cosines, link, threshold_for
from torch.nn import functional as F

POINTS = torch.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0]])


def similarities() -> torch.Tensor:
    return cosines(POINTS, POINTS).fill_diagonal_(0.0)


def network(nodes: torch.Tensor = POINTS, degree: float = 1.0, **how: float) -> GraphNetwork:
    torch.manual_seed(0)
    network = GraphNetwork(nodes.shape[1], (3, 3), 2, degree, how.get("dropout", 0.0))
    network.store(nodes)
    return network.eval()


def test_cosines_do_not_depend_on_length_and_are_zero_for_nothing() -> None:
    torch.testing.assert_close(cosines(POINTS, 5 * POINTS)[:, 0], torch.tensor([1, 0.998752, 0, -1, 0]))


@pytest.mark.parametrize(("degree", "linked"), [(0.5, 2), (1.0, 4), (1.5, 4)])
def test_the_threshold_gives_nodes_a_degree_on_average_and_links_nobody_unlike(degree: float, linked: int) -> None:
    similarity = similarities()  # positive between the first and the second, and the second and the third
    assert int((similarity >= threshold_for(similarity, degree)).sum()) == linked


def test_the_mean_weighs_neighbours_by_similarity_and_the_sample_by_one() -> None:
    links = link(torch.tensor([[0.5, 0.2, 0.9], [0.1, 0.0, -1.0]]), torch.tensor(0.3))
    nodes, samples = torch.tensor([[1.0], [10.0], [100.0]]), torch.tensor([[3.0], [7.0]])
    expected = torch.tensor([[(3 + 0.5 * 1 + 0.9 * 100) / 2.4], [7.0]])
    torch.testing.assert_close(links.mean(samples, nodes), expected)


def test_a_convolution_is_that_of_the_normalised_adjacency_with_itself() -> None:
    graph = network()
    adjacency = similarities()
    adjacency = adjacency * (adjacency >= graph.threshold) + torch.eye(5)
    adjacency = adjacency / adjacency.sum(1, keepdim=True)
    states = POINTS
    for layer in graph.layers:
        states = F.leaky_relu(layer(adjacency @ states), 0.25)
    # asked as samples that are nodes themselves, nodes get the states that they have in the graph
    torch.testing.assert_close(graph(POINTS, torch.eye(5, dtype=torch.bool)), graph.head(states))


def test_a_node_asked_as_a_stranger_is_linked_to_itself() -> None:
    graph = network()
    assert not torch.allclose(graph(POINTS[1:2]), graph(POINTS[1:2], torch.eye(5, dtype=torch.bool)[1:2]))


def test_a_sample_like_no_node_speaks_for_itself() -> None:
    sample = torch.tensor([[-1.0, -1.0]])
    positive, other = network(POINTS[:3]), network(3 * POINTS[:3].flip(0))
    torch.testing.assert_close(positive(sample), other(sample))
    assert not torch.allclose(positive(POINTS[:1]), other(POINTS[:1]))


def test_a_network_takes_the_nodes_of_another_with_its_weights() -> None:
    graph = network(torch.randn(7, 2), 2.0)
    again = GraphNetwork(2, (3, 3), 2, 2.0, 0.0).eval()
    again.load_state_dict(graph.state_dict(), strict=True)
    torch.testing.assert_close(again(POINTS), graph(POINTS))


def test_a_graph_of_nodes_that_lack_the_modality_is_no_error() -> None:
    graph = network(torch.zeros(4, 2))
    assert graph.links.ends.shape == (2, 0)
    assert graph(POINTS).isfinite().all()
