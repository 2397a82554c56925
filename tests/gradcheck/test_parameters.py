from collections import OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.parameters import (
    assign_layers,
    default_layer,
    flatten,
    match,
    rebuilder,
    select_names,
    unknown_name,
)

Pair = namedtuple("Pair", ["weight", "bias"])


@dataclass
class Dense:
    weight: object
    bias: object


@dataclass(frozen=True, slots=True)
class Frozen:
    weight: object
    bias: object


KEYS = st.text("abW12", min_size=1, max_size=3)
TREES = st.recursive(
    st.floats(),
    lambda trees: st.one_of(
        st.dictionaries(KEYS, trees, max_size=3),
        st.lists(trees, max_size=3),
        st.lists(trees, max_size=3).map(tuple),
        st.builds(Pair, trees, trees),
        st.builds(Dense, trees, trees),
        st.builds(Frozen, trees, trees),
        st.dictionaries(KEYS, trees, max_size=3).map(OrderedDict),
    ),
    max_leaves=12,
)


def leaves_of(tree):
    """Return the leaves in order, by a recursion that knows nothing of names."""
    if isinstance(tree, dict):
        children = list(tree.values())
    elif isinstance(tree, list | tuple):
        children = list(tree)
    elif isinstance(tree, Dense | Frozen):
        children = [tree.weight, tree.bias]
    else:
        return [tree]
    return [leaf for child in children for leaf in leaves_of(child)]


def skeleton(tree):
    """Return the nesting and the types of all containers, without the leaves."""
    if isinstance(tree, dict):
        return type(tree), {key: skeleton(child) for key, child in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree), [skeleton(child) for child in tree]
    if isinstance(tree, Dense | Frozen):
        return type(tree), skeleton(tree.weight), skeleton(tree.bias)
    return None


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        (3.0, ["x"]),
        (np.zeros((2, 2)), ["x"]),
        ({"W1": 1.0, "b1": 2.0}, ["W1", "b1"]),
        ({3: 1.0, (0, 1): 2.0}, ["3", "(0, 1)"]),
        ([1.0, 2.0], ["0", "1"]),
        ((1.0, 2.0), ["0", "1"]),
        (Pair(1.0, 2.0), ["weight", "bias"]),
        (Dense(1.0, 2.0), ["weight", "bias"]),
        (Frozen(1.0, 2.0), ["weight", "bias"]),
        (MappingProxyType({"a": 1.0}), ["a"]),
        ({"net": [Dense(1.0, {"deep": 2.0}), 3.0]}, ["net.0.weight", "net.0.bias.deep", "net.1"]),
        ({}, []),
        ([[], {}, ()], []),
    ],
)
def test_a_leaf_is_named_by_its_path(tree, names):
    assert list(flatten(tree)) == names


def test_a_dataclass_type_is_a_leaf_and_not_a_container():
    assert flatten(Dense) == {"x": Dense}


def test_the_leaves_are_the_very_objects_of_the_tree():
    array = np.zeros(2)
    assert flatten({"a": [array]})["a.0"] is array


@pytest.mark.parametrize("tree", [{1: 1.0, "1": 2.0}, {"a.b": 1.0, "a": {"b": 2.0}}])
def test_two_leaves_of_one_name_are_an_error(tree):
    with pytest.raises(ValueError, match=r"must be unique, got '(1|a\.b)' twice"):
        flatten(tree)


@given(TREES)
def test_flattening_keeps_every_leaf_once_and_in_order(tree):
    found = flatten(tree)
    expected = leaves_of(tree)
    assert len(found) == len(expected)
    assert all(one is other for one, other in zip(found.values(), expected, strict=True))


@given(TREES)
def test_rebuilding_from_the_leaves_gives_the_same_tree(tree):
    twin = rebuilder(tree)(flatten(tree))
    assert skeleton(twin) == skeleton(tree)
    assert all(a is b for a, b in zip(leaves_of(twin), leaves_of(tree), strict=True))


@given(TREES)
def test_what_was_rebuilt_flattens_to_what_it_was_built_from(tree):
    values = {name: object() for name in flatten(tree)}
    assert flatten(rebuilder(tree)(values)) == values


@given(TREES)
def test_a_tree_is_like_itself(tree):
    names = flatten(tree)
    matched = match(tree, tree, list(names))
    found = matched.leaves
    assert matched.fault == ""
    assert list(found) == list(names)
    assert all(found[name] is names[name] for name in names)


@pytest.mark.parametrize("make", [dict, OrderedDict, lambda pairs: defaultdict(list, pairs)])
def test_rebuilding_keeps_the_kind_of_dict(make):
    tree = make({"b": 1.0, "a": 2.0})
    twin = rebuilder(tree)({"a": 20.0, "b": 10.0})
    assert type(twin) is type(tree)
    assert list(twin.items()) == [("b", 10.0), ("a", 20.0)]
    assert tree == {"b": 1.0, "a": 2.0}


def test_rebuilding_keeps_a_default_factory():
    twin = rebuilder(defaultdict(lambda: 7.0, a=1.0))({"a": 2.0})
    assert twin["missing"] == 7.0


@pytest.mark.parametrize("make", [MappingProxyType, UserDict])
def test_rebuilding_another_mapping_gives_one_that_reads_the_same(make):
    tree = make({"a": 1.0, 2: [3.0]})
    twin = rebuilder(tree)({"a": 10.0})
    assert dict(twin) == {"a": 10.0, 2: [3.0]}


@pytest.mark.parametrize("make", [Pair, Dense, Frozen])
def test_rebuilding_keeps_fields_and_type(make):
    tree = make(1.0, 2.0)
    assert rebuilder(tree)({"weight": 10.0, "bias": 20.0}) == make(10.0, 20.0)
    assert tree == make(1.0, 2.0)


def test_rebuilding_makes_new_containers():
    tree = {"a": [1.0], "b": OrderedDict(c=1.0)}
    twin = rebuilder(tree)(flatten(tree))
    twin["a"].append(2.0)
    twin["b"]["d"] = 2.0
    assert tree == {"a": [1.0], "b": {"c": 1.0}}


def test_a_leaf_that_is_not_given_stays_the_templates_own():
    foreign = object()
    twin = rebuilder({"W": 1.0, "steps": foreign})({"W": 2.0})
    assert twin["W"] == 2.0
    assert twin["steps"] is foreign


def test_a_lone_leaf_is_rebuilt_as_itself():
    assert rebuilder(np.zeros(3))({"x": 5.0}) == 5.0


def test_a_list_and_a_tuple_count_as_alike():
    assert match([1.0, 2.0], (3.0, 4.0), ["0", "1"]).leaves == {"0": 3.0, "1": 4.0}


def test_keys_of_a_gradient_may_come_in_any_order():
    assert match({"a": 1, "b": 2}, {"b": 20, "a": 10}, ["a", "b"]).leaves == {"a": 10, "b": 20}


def test_what_lies_below_a_leaf_of_the_template_is_taken_whole():
    assert match({"a": 1.0}, {"a": [[1.0], [2.0]]}, ["a"]).leaves == {"a": [[1.0], [2.0]]}


def test_a_leaf_that_is_not_required_may_be_missing():
    template = {"W": 1.0, "steps": 3, "more": {"flag": True}}
    assert match(template, {"W": 2.0}, ["W"]).leaves == {"W": 2.0}


@pytest.mark.parametrize(
    ("template", "tree", "message"),
    [
        ({"W": 1.0, "b": 2.0}, {"W": 1.0}, "missing b"),
        ({"W": 1.0}, {"W": 1.0, "c": 2.0}, "unexpected c"),
        ({"W1": 1.0, "b1": 1.0}, {"w1": 1.0, "b1": 1.0}, "missing W1; unexpected w1"),
        ({"a": {"W": 1.0, "b": 1.0}}, {"a": {"W": 1.0}}, "missing a.b"),
        ({"a": {"W": 1.0, "b": 1.0}}, {}, "missing a.W, a.b"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "unexpected 2"),
        ({"W": 1.0}, np.zeros((2, 3)), "expected a dict like the parameters, got ndarray of shape"),
        ({"a": [1.0]}, {"a": 5.0}, "expected a list like the parameters at 'a', got float"),
        (Pair(1.0, 2.0), None, "expected a Pair like the parameters, got NoneType"),
    ],
)
def test_a_tree_that_is_nested_otherwise_is_told_where(template, tree, message):
    assert match(template, tree, list(flatten(template))).fault.startswith(message)


@pytest.mark.parametrize(
    ("template", "tree", "leaves"),
    [
        ({"W": 1.0, "b": 2.0}, {"w": 3.0, "b": 4.0}, {"b": 4.0}),
        (
            {"a": {"W": 1.0, "b": 2.0}, "c": 3.0},
            {"a": {"W": 5.0}, "c": 6.0},
            {"a.W": 5.0, "c": 6.0},
        ),
        ({"a": [1.0, 2.0], "c": 3.0}, {"a": 5.0, "c": 6.0}, {"c": 6.0}),
        ({"a": [1.0, 2.0], "c": 3.0}, {"a": [5.0], "c": 6.0}, {"c": 6.0}),
        ({"a": [1.0, 2.0], "c": 3.0}, {"a": [5.0, 5.0, 5.0], "c": 6.0}, {"c": 6.0}),
        (Pair(1.0, 2.0), {"weight": 5.0}, {"weight": 5.0}),
    ],
)
def test_what_can_be_told_to_be_in_its_place_is_matched(template, tree, leaves):
    matched = match(template, tree, list(flatten(template)))
    assert matched.leaves == leaves
    assert matched.fault


def test_a_container_without_a_required_leaf_may_be_left_out():
    template = {"W": 1.0, "counts": {"steps": 3}}
    matched = match(template, {"W": 2.0, "counts": None}, ["W"])
    assert (matched.leaves, matched.fault) == ({"W": 2.0}, "")


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("W1", "1"),
        ("b12", "12"),
        ("gamma", "gamma"),
        ("layer1.weight", "layer1"),
        ("encoder.0.weight", "encoder.0"),
        ("encoder.W3", "encoder"),
        ("0", "0"),
        ("conv2d", "conv2d"),
    ],
)
def test_a_name_gives_its_layer(name, layer):
    assert default_layer(name) == layer


def test_given_layers_win_over_names():
    assert assign_layers(["W1", "b1", "c"], {"hidden": ["W1", "c"]}) == {
        "W1": "hidden",
        "b1": "1",
        "c": "hidden",
    }


def test_without_layers_every_name_gives_its_own():
    assert assign_layers(["W1", "net.W"], None) == {"W1": "1", "net.W": "net"}


def test_an_unknown_name_in_layers_is_told_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"layers\['out'\] names .*'wieght'; did you mean 'weight'"
    ):
        assign_layers(["weight", "bias"], {"out": ["wieght"]})


def test_a_name_in_two_layers_is_an_error():
    with pytest.raises(ValueError, match="'W1' twice: 'one' and 'two'"):
        assign_layers(["W1"], {"one": ["W1"], "two": ["W1"]})


def test_where_no_name_is_near_all_are_listed():
    assert unknown_name("zzz", ["W1", "b1"]) == "an unknown parameter 'zzz'; there are W1, b1"


NAMES = ["W1", "W2", "b1", "W*", "net.W"]


@pytest.mark.parametrize(
    ("only", "exclude", "selected"),
    [
        ([], [], ["W1", "W2", "b1", "W*", "net.W"]),
        (["b1", "W2"], [], ["W2", "b1"]),
        (["W?"], [], ["W1", "W2", "W*"]),
        (["W*"], [], ["W*"]),
        (["*W"], [], ["net.W"]),
        (["[bW]1"], [], ["W1", "b1"]),
        ([], ["W?"], ["b1", "net.W"]),
        (["W1", "W2"], ["W1"], ["W2"]),
        (["W1"], ["W1"], []),
    ],
)
def test_names_are_selected_exactly_before_as_patterns(only, exclude, selected):
    assert select_names(NAMES, only, exclude) == tuple(selected)


def test_patterns_mind_the_case():
    with pytest.raises(ValueError, match="only names an unknown parameter 'w1'"):
        select_names(["W1"], ["w1"], [])


def test_a_pattern_to_exclude_must_match_something():
    with pytest.raises(ValueError, match=r"exclude names an unknown parameter 'c\*'"):
        select_names(NAMES, [], ["c*"])


@given(st.lists(st.text("aWb12.*?", min_size=1, max_size=4), unique=True, min_size=1), st.data())
def test_only_and_exclude_of_the_same_names_part_them_all(names, data):
    chosen = data.draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
    inside, outside = select_names(names, chosen, []), select_names(names, [], chosen)
    assert set(inside) == set(chosen)
    assert sorted(inside + outside) == sorted(names)
