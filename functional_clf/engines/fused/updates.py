"""How the weights of a large model are updated: in one pass over them, and where they lie.

Lowering makes a statement of each tensor: moments, weights, each in memory of its own, from where
it is copied into the state at the end. For large weights that is a good part of the work.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from functional_clf.engines.fused.form import (
    Address,
    Apply,
    Array,
    Assign,
    AtPlace,
    Clear,
    Count,
    Expression,
    Finish,
    Fold,
    Function,
    Heads,
    Keep,
    Load,
    Pass,
    Tell,
    Total,
    loads,
)

LARGE_LEAF = 512
"""From so many numbers in a leaf of the state on a step is worth it."""

Statement = Assign | Clear | Finish | Pass | Total


def with_updates_in_place(function: Function) -> Function:
    """The same function with fewer passes over memory, where leaves of the state are large."""
    sizes = {name: member.count for name, member in function.members.items()}
    if not any(sizes.get(one.source.name, 0) >= LARGE_LEAF for one in _kept(function)):
        return function
    after = [_flat(one) if isinstance(one, Assign) else one for one in function.after]
    results, members = list(function.results), dict(function.members)
    for keep in _kept(function):
        if _can_be_made_in_place(keep, after, results, sizes):
            after = [_renamed(one, keep.source, keep.leaf) for one in after]
            results.remove(keep)
            del members[keep.source.name]
    return replace(function, members=members, after=_in_one_pass(after), results=results)


def _kept(function: Function) -> list[Keep]:
    return [one for one in function.results if isinstance(one, Keep)]


# What statements read and write.


def _parts(one: Statement) -> Sequence[Assign | Total]:
    match one:
        case Pass(body=body):
            return body
        case Assign() | Total():
            return [one]
    return []


def _written(one: Statement) -> list[Address]:
    if isinstance(one, Clear | Finish):
        return [Address(one.array)]
    return [part.target for part in _parts(one)]


def _read(one: Statement) -> list[Address]:
    if isinstance(one, Finish):  # of what its contraction has added up
        return [Address(one.array)]
    return [address for part in _parts(one) for address in loads(part.value)]


def _are_of_one(ones: Sequence[Address], others: Sequence[Address]) -> bool:
    """Whether some array is in both."""
    return not {one.array for one in ones}.isdisjoint(other.array for other in others)


def _can_change_places(one: Statement, other: Statement) -> bool:
    return not (
        _are_of_one(_written(one), [*_read(other), *_written(other)])
        or _are_of_one(_written(other), _read(one))
    )


# Flat loops.


def _flat(one: Assign) -> Assign:
    """Nested loops over all of some tensors as one, where they run along memory."""
    if len(one.heads) < 2:
        return one
    strides, left = {}, 1
    for counter, size in reversed(one.heads):
        strides[counter] = left
        left *= size
    whole = set(strides.items())
    for address in (one.target, *loads(one.value)):
        its = {term for term in address.terms if term[0] in strides}
        if its and (its != whole or len(its) != len(address.terms)):
            return one
    if not one.target.terms or _counts(one.value, set(strides)):
        return one
    counter = one.heads[-1][0]

    def flat(address: Address) -> Address:
        return replace(address, terms=((counter, 1),)) if address.terms else address

    return Assign(((counter, left),), flat(one.target), _mapped(one.value, flat))


def _counts(expression: Expression, counters: set[str]) -> bool:
    """Whether an expression reads a counter other than in an address."""
    match expression:
        case Count(place=place):
            return place.counter in counters
        case AtPlace(place=place, value=value):
            return place.counter in counters or _counts(value, counters)
    return any(_counts(part, counters) for part in _inner(expression))


def _inner(expression: Expression) -> Iterator[Expression]:
    match expression:
        case Apply(args=parts) | Fold(terms=parts):
            yield from (part for part in parts if isinstance(part, Expression))


def _mapped(expression: Expression, change: Callable[[Address], Address]) -> Expression:
    """The same expression of other addresses."""
    match expression:
        case Load(address):
            return Load(change(address))
        case Apply(args=args):
            new = (_mapped(arg, change) if isinstance(arg, Expression) else arg for arg in args)
            return replace(expression, args=tuple(new))
        case Fold(terms=terms):
            return replace(expression, terms=tuple(_mapped(term, change) for term in terms))
        case AtPlace(value=value):
            return replace(expression, value=_mapped(value, change))
    return expression


# In place.


def _can_be_made_in_place(
    keep: Keep, after: Sequence[Statement], results: Sequence[Keep | Tell], sizes: dict[str, int]
) -> bool:
    """Whether the statement that makes the next value of a leaf may write it over the old one."""
    makers = [
        place
        for place, one in enumerate(after)
        if any(target.array == keep.source for target in _written(one))
    ]
    if len(makers) != 1:
        return False
    (place,) = makers
    maker = after[place]
    if not isinstance(maker, Assign) or len(maker.heads) != 1 or maker.target.offset:
        return False
    ((counter, size),) = maker.heads
    if maker.target.terms != ((counter, 1),) or size != sizes[keep.source.name]:
        return False
    own = replace(maker.target, array=keep.leaf)
    if any(read.array == keep.leaf and read != own for read in _read(maker)):
        return False
    later = [address for one in after[place + 1 :] for address in (*_read(one), *_written(one))]
    if any(address.array == keep.leaf for address in later):
        return False
    for one in results:
        others = [one.address.array] if isinstance(one, Tell) else [one.leaf, one.source]
        if one is not keep and {keep.leaf, keep.source} & set(others):
            return False
    return True


def _renamed(one: Statement, old: Array, new: Array) -> Statement:
    def change(address: Address) -> Address:
        return replace(address, array=new) if address.array == old else address

    if isinstance(one, Assign | Total):
        return replace(one, target=change(one.target), value=_mapped(one.value, change))
    return one


# In one pass.


def _in_one_pass(statements: Sequence[Statement]) -> list[Statement]:
    """Loops over the same numbers as one, where nothing between them minds."""
    found: list[Statement] = []
    for one in statements:
        if not isinstance(one, Assign) or not _is_flat(one):
            found.append(one)
        elif (earlier := _earlier_pass(one, found)) is None:
            found.append(Pass(one.heads, [one]))
        else:
            new = _counted(one, one.heads[0][0], earlier.heads[0][0])
            found[found.index(earlier)] = Pass(earlier.heads, [*earlier.body, new])
    return found


def _is_flat(one: Assign) -> bool:
    return len(one.heads) == 1 and not _counts(one.value, {one.heads[0][0]})


def _earlier_pass(one: Assign, found: Sequence[Statement]) -> Pass | None:
    """The loop that a statement can be a part of, if there is one."""
    for other in reversed(found):
        if isinstance(other, Pass) and other.heads[0][1] == one.heads[0][1]:
            mine = _counted(one, one.heads[0][0], other.heads[0][0])
            if _is_element_by_element(mine, other):
                return other
        if not _can_change_places(one, other):
            return None
    return None


def _is_element_by_element(one: Assign, other: Pass) -> bool:
    """Whether each element of one needs no other than the same element of the other, and back."""
    for address in (*_written(other), *_read(other)):
        if any(address.array == mine.array and address != mine for mine in _written(one)):
            return False
    for address in _written(other):
        if any(address.array == mine.array and address != mine for mine in _read(one)):
            return False
    return True


def _counted(one: Assign, old: str, new: str) -> Assign:
    """The same loop with another counter."""

    def change(address: Address) -> Address:
        return replace(
            address,
            terms=tuple((new if name == old else name, stride) for name, stride in address.terms),
        )

    heads: Heads = tuple((new if name == old else name, size) for name, size in one.heads)
    return Assign(heads, change(one.target), _mapped(one.value, change))
