"""What can be said of a task before any table is read: unknown names, cycles, windows the wrong way round, leaks."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from .....cache_schema import InputError, meant, shown
from .language import (
    ANCHORS,
    BUILT_IN,
    END,
    OF_SUBJECT,
    START,
    TRIGGER,
    AnchorPredicate,
    Bound,
    ConceptPredicate,
    DerivedPredicate,
    Predicate,
    TaskFile,
    Window,
)

Position = tuple[str, int]
"""A root (an anchor, or the trigger) and seconds from there."""


def check_task_file(task: TaskFile) -> None:
    """Raise :class:`InputError` for whatever is wrong whatever the data.

    That is an unknown predicate or reference, a cycle, no label or two, a window that starts after its end, a label
    window that starts before the prediction time or ends by it, an input window that goes beyond it.
    """
    _check_predicates(task)
    _check_label_and_index(task)
    for where, bound, own in _bounds(task):
        _check_reference(task, where, bound, own)
        if bound.predicate is not None:
            _check_predicate(task, where, bound.predicate)
    for window in task.windows:
        for end in (START, END):
            _refuse_cycle(task, window, end)
    for window in task.windows:
        _check_order(task, window)
    _refuse_leaks(task)


def position(task: TaskFile, bound: Bound, own: Window | None = None) -> Position | None:
    """Return where a bound lies, as far as that is the same for all samples; ``own`` is the window that it ends."""
    if bound.reference is None or bound.predicate is not None:
        return None
    base: Position | None
    if bound.reference in ANCHORS:
        base = (bound.reference, 0)
    elif bound.reference == TRIGGER:
        base = position(task, task.trigger.at) if task.trigger.at else None
        base = base or (TRIGGER, 0)
    else:
        window, end = _referred(task, bound.reference, own)
        base = position(task, window.start if end == START else window.end, window)
    return None if base is None else (base[0], base[1] + bound.seconds)


def conditions_on_future(task: TaskFile) -> tuple[str, ...]:
    """Return what a task asks of the time after the prediction, as window.predicate."""
    index = position(task, task.index)
    found = []
    for window in task.windows:
        end = replace(window.end, predicate=None) if not window.end.forward else window.end
        latest = position(task, end, window)
        if latest is None or index is None or latest[0] != index[0] or latest[1] > index[1]:
            found += [f"{window.name}.{predicate}" for predicate in window.has]
    return tuple(found)


def ends_of_index(task: TaskFile) -> set[tuple[str, str]]:
    """Return the ends of windows, by window and end, that the prediction time is found by."""
    found: set[tuple[str, str]] = set()
    bound, own = task.index, None
    while bound.reference is not None and bound.reference not in (TRIGGER, *ANCHORS):
        own, end = _referred(task, bound.reference, own)
        found.add((own.name, end))
        bound = own.start if end == START else own.end
    return found


def _bounds(task: TaskFile) -> Iterator[tuple[str, Bound, Window | None]]:
    """Yield every bound with how messages name it and its window."""
    trigger = task.trigger
    for key, bound in (("at", trigger.at), ("from", trigger.begin), ("until", trigger.until)):
        if bound is not None:
            yield f"{task.source}: trigger.{key}", bound, None
    for window in task.windows:
        where = f"{task.source}: windows.{window.name}"
        yield f"{where}.{START}", window.start, window
        yield f"{where}.{END}", window.end, window
        if window.observed is not None:
            yield f"{where}.observed_until", window.observed, window
        if window.label is not None:
            yield f"{where}.label.censor", window.label.censor, window


def _check_predicates(task: TaskFile) -> None:
    for name, predicate in task.predicates.items():
        where = f"{task.source}: predicates.{name}"
        if isinstance(predicate, AnchorPredicate) and predicate.anchor not in (*ANCHORS, *OF_SUBJECT):
            known = (*ANCHORS, *OF_SUBJECT)
            raise InputError(
                f"{where}.anchor is {shown(predicate.anchor)}; known are {', '.join(known)}."
                f"{meant(predicate.anchor, known)}"
            )
        if isinstance(predicate, DerivedPredicate):
            for argument in predicate.arguments:
                _check_predicate(task, f"{where}.expr", argument)
                one = task.predicates.get(argument)
                if isinstance(one, ConceptPredicate) and one.event == "running":
                    raise InputError(f"{where}.expr names {argument!r}, which is running and no event at one time.")
            if name in _arguments(task.predicates, name):
                raise InputError(f"{where}.expr leads back to {name!r} itself.")
    if task.trigger.predicate is not None:
        _check_predicate(task, f"{task.source}: trigger", task.trigger.predicate)
    for window in task.windows:
        names = [(f"has.{name}", name) for name in window.has]
        names += [("label", name) for name in (window.label.predicates.values() if window.label else ())]
        for key, name in names:
            _check_predicate(task, f"{task.source}: windows.{window.name}.{key}", name)


def _arguments(predicates: Mapping[str, Predicate], name: str) -> set[str]:
    """Return every predicate that a derived one stands on."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        predicate = predicates.get(waiting.pop())
        fresh = set(predicate.arguments) - found if isinstance(predicate, DerivedPredicate) else set()
        found |= fresh
        waiting += fresh
    return found


def _check_predicate(task: TaskFile, where: str, name: str) -> None:
    known = (*task.predicates, *BUILT_IN)
    if name not in known:
        raise InputError(
            f"{where}: there is no predicate {shown(name)}.{meant(name, known)} Known are: {', '.join(known)}."
        )


def _check_label_and_index(task: TaskFile) -> None:
    labels = [window.name for window in task.windows if window.label is not None]
    if len(labels) != 1:
        found = f"the windows {', '.join(labels)} have one each" if labels else "no window has one"
        raise InputError(f"{task.source}: windows: a task has one label; {found}.")
    indexed = [window.name for window in task.windows if window.index is not None]
    if len(indexed) > 1:
        raise InputError(f"{task.source}: windows: {', '.join(indexed)} each have an index_timestamp; keep one.")
    target = task.target
    if target.label is not None and target.label.kind != "binary" and target.deaths == "negative":
        raise InputError(
            f"{task.source}: windows.{target.name}.deaths is 'negative', which only a binary label can be."
        )


def _check_reference(task: TaskFile, where: str, bound: Bound, own: Window | None) -> None:
    if bound.reference is None:
        if own is None or where.endswith("observed_until"):
            raise InputError(f"{where} is null; it needs a time.")
        return
    ends = [f"{window.name}.{end}" for window in task.windows for end in (START, END)]
    known = [*ANCHORS, *([TRIGGER, START, END, *ends] if own else [])]
    if bound.reference not in known:
        raise InputError(
            f"{where} is {shown(bound.text)}: there is no {shown(bound.reference)}."
            f"{meant(bound.reference, known)} Known are: {', '.join(known)}."
        )


def _referred(task: TaskFile, reference: str, own: Window | None) -> tuple[Window, str]:
    """Return the window and its end that a reference such as ``end`` or ``before.end`` means."""
    name, _, end = reference.rpartition(".")
    window = own if not name else next(window for window in task.windows if window.name == name)
    assert window is not None
    return window, end


def _refuse_cycle(task: TaskFile, window: Window, end: str) -> None:
    seen: list[str] = []
    while True:
        node = f"{window.name}.{end}"
        if node in seen:
            raise InputError(f"{task.source}: windows.{node} leads back to itself: {' -> '.join([*seen, node])}.")
        seen.append(node)
        reference = (window.start if end == START else window.end).reference
        if reference is None or reference in (TRIGGER, *ANCHORS):
            return
        window, end = _referred(task, reference, window)


def _check_order(task: TaskFile, window: Window) -> None:
    start, end = (position(task, bound, window) for bound in (window.start, window.end))
    where = f"{task.source}: windows.{window.name}"
    if start is not None and end is not None and start[0] == end[0] and start[1] > end[1]:
        raise InputError(f"{where} starts ({window.start.text}) after its end ({window.end.text}).")


def _refuse_leaks(task: TaskFile) -> None:
    index, target = position(task, task.index), task.target
    if index is None:
        return
    where = f"{task.source}: windows.{target.name}"
    start, end = position(task, target.start, target), position(task, target.end, target)
    if end is not None and end[0] == index[0] and end[1] <= index[1]:
        raise InputError(
            f"{where}.end is {target.end.text!r}, not after the prediction time: its label would be known by then."
        )
    if start is not None and start[0] == index[0] and start[1] < index[1]:
        raise InputError(f"{where}.start is {target.start.text!r}, before the prediction time: its label would leak.")
    for window in task.windows:
        end = position(task, window.end, window)
        if window.name == "input" and end is not None and end[0] == index[0] and end[1] > index[1]:
            raise InputError(
                f"{task.source}: windows.input.end is {window.end.text!r}: an input cannot reach beyond the prediction "
                "time."
            )
