"""A study's results in its database: one transaction a chunk.

Weights and curves are safetensors, which hold numbers and can run no code.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
import safetensors.numpy

from functional_clf.record.contents import check_curves, check_params, joined, unpacked
from functional_clf.record.database import Database
from functional_clf.record.environments import alike, fullest, other_bits
from functional_clf.record.errors import StoreError
from functional_clf.record.rows import (
    CURVES,
    SEED_COLUMNS,
    WARNED,
    ChunkResult,
    Look,
    Looks,
    chunk_digest,
    differences,
    stored_rows,
)
from functional_clf.record.schema import FORMAT
from functional_clf.stats.metrics import ACCURACY, METRICS
from functional_clf.support.forks import use_threads

ROWS_AT_ONCE = 8192
BLOCK_BYTES = 2**24
"""About as much of the learning curves is in memory at once."""


class Store(Database):
    """A study's results, in a run folder or in memory; a context manager.

    Holds the database's lock from opening to closing: a second process is told so at once.

    Args:
        folder: the run folder, made where there is none; None for one in memory.
        must_exist: refuse a folder without a study.

    Raises:
        StoreError: when the folder is in use, damaged, of another format, or cannot be written.

    Example:
        >>> with Store(None) as store:
        ...     store.adopt({"vary": "data"}, environment={"torch": "2.13.0"})
        ...     store.configuration, store.finished_seeds()
        ({'vary': 'data'}, set())
    """

    def adopt(self, configuration: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Begin a session: make the study this one, or see that it already is.

        Args:
            configuration: what identifies the study, as plain values (JSON).
            environment: what the session runs on, kept for the reader.

        Raises:
            StoreError: when the folder holds a study of another configuration.
        """
        self.refuse_other(configuration)
        asked = json.loads(json.dumps(configuration))  # what JSON makes of tuples
        self._environment, self._session = json.dumps(environment), None
        if self.configuration is not None:
            return
        if self.is_read_only:
            raise StoreError(f"{self.folder} may not be written to; give another --out")
        self._write_meta("configuration", json.dumps(asked))
        self.configuration = asked

    def refuse_other(self, configuration: Mapping[str, Any]) -> None:
        """See that the study here, if any, is this one.

        Raises:
            StoreError: when it is another.
        """
        if self.configuration is None:
            return
        if different := differences(self.configuration, configuration):
            raise StoreError(
                f"{self.folder} holds another study: {different}. Give another --out, or the "
                "settings it has"
            )

    @property
    def is_sequential(self) -> bool:
        """Whether seeds were ever trained here until a verdict was settled."""
        return "sequential" in self._meta

    def mark_sequential(self) -> None:
        """Note that how many seeds there are hangs on what was seen of them."""
        if not (self.is_sequential or self.is_read_only):
            self._write_meta("sequential", "true")

    def look(self, seeds: range, margin: float, alpha: float, metric: str = ACCURACY.name) -> Looks:
        """Note that the results of these seeds are looked at, by these rules.

        Looking again at the same seeds by the same rules is the same look.

        Args:
            seeds: which ones.
            margin: the difference that is said to matter, in the metric's unit.
            alpha: one minus the confidence.
            metric: what models are compared by.

        Returns:
            How they were looked at before.

        Example:
            >>> with Store(None) as store:
            ...     _ = store.look(range(8), margin=0.01, alpha=0.05)
            ...     store.look(range(64), margin=0.02, alpha=0.05)
            Looks(first_margin=0.01, first_alpha=0.05, earlier=1, first_metric='accuracy')
        """
        looks = self._looks()
        this = [seeds.start, seeds.stop, margin, alpha, metric]
        if metric == ACCURACY.name:  # as it was written before there were others
            del this[-1]
        if this not in looks:
            looks.append(this)
            if not self.is_read_only:
                self._write_meta("looks", json.dumps(looks))
        return self.looks(seeds, looks)

    def looks(self, seeds: range, noted: list[list[Any]] | None = None) -> Looks:
        """How the results of these seeds were looked at before, nothing being noted.

        Args:
            seeds: which ones.
            noted: the looks there were; None for those that are noted here.
        """
        looks = self._looks() if noted is None else noted
        if not looks:
            return Looks()
        seen = list(dict.fromkeys((start, stop) for start, stop, *_ in looks))
        first_margin, first_alpha, *first_metric = looks[0][2:]
        this = (seeds.start, seeds.stop)
        earlier = seen.index(this) if this in seen else len(seen)
        return Looks(first_margin, first_alpha, earlier, *first_metric)

    def last_look(self) -> Look | None:
        """By what rules the results were last looked at; None where nobody has looked."""
        looks = self._looks()
        return Look(*looks[-1][2:]) if looks else None

    def last_seen(self) -> range | None:
        """The seeds that were last looked at; None where nobody has looked."""
        looks = self._looks()
        return range(*looks[-1][:2]) if looks else None

    def _looks(self) -> list[list[Any]]:
        """The looks that are noted, in order: first and last seed, margin, alpha, maybe metric."""
        try:
            looks = json.loads(self._meta.get("looks", "[]"))
            for start, stop, margin, alpha, *metric in looks:
                is_range = type(start) is int and type(stop) is int and 0 <= start < stop
                if not (is_range and margin >= 0 and 0 < alpha < 1 and len(metric) < 2):
                    raise ValueError("it is none")
                if not set(metric) <= METRICS.keys():
                    raise ValueError("of no metric")
        except (ValueError, TypeError, RecursionError) as error:
            raise self.damaged("what it says of earlier looks cannot be read") from error
        return looks

    def finished_seeds(self) -> set[int]:
        """The seeds whose results are here, of all models."""
        return {seed for (seed,) in self._query("SELECT DISTINCT seed FROM replicate")}

    def missing_seeds(self, seeds: range) -> np.ndarray:
        """Which of these seeds have no results here, in order."""
        found = self._numbers(
            "SELECT DISTINCT seed FROM replicate WHERE seed BETWEEN ? AND ?",
            (seeds.start, seeds.stop - 1),
        )
        return np.setdiff1d(np.arange(seeds.start, seeds.stop, dtype=np.int64), found)

    def environment_of(self, seed: int) -> dict[str, Any]:
        """What the session ran on that trained this seed; empty where it is not here."""
        found = self._query(
            "SELECT environment FROM session JOIN chunk ON session = session.id "
            "JOIN replicate ON chunk = chunk.id WHERE seed = ? LIMIT 1",
            (seed,),
        )
        return self._environment_told(found[0][0]) if found else {}

    def environments(self, seeds: range) -> list[tuple[dict[str, Any], np.ndarray]]:
        """What these seeds were trained in: each environment, and its seeds in order.

        Returns:
            In order of their first sessions; those of equal bits are one. Of several, each is
            told by the session that tells the most.
        """
        sessions = self._sessions()
        told = [environment for _, environment in sessions]
        places = alike(told)
        distinct = np.unique(places).tolist()
        if len(distinct) == 1:
            return [(told[0], np.setdiff1d(seeds, self.missing_seeds(seeds)))]
        found = []
        for place in distinct:
            members = [sessions[at] for at in np.flatnonzero(places == place)]
            own = [session for session, _ in members]
            trained = self._numbers(
                "SELECT DISTINCT seed FROM replicate JOIN chunk ON chunk = chunk.id "
                "WHERE seed BETWEEN ? AND ? AND session IN (SELECT value FROM json_each(?)) "
                "ORDER BY seed",
                (seeds.start, seeds.stop - 1, json.dumps(own)),
            )
            if len(trained):
                found.append((dict(fullest([one for _, one in members])), trained))
        return found

    def _sessions(self) -> list[tuple[int, dict[str, Any]]]:
        """The sessions that trained anything, and what they ran on."""
        found = self._query(
            "SELECT id, environment FROM session WHERE id IN (SELECT session FROM chunk) "
            "ORDER BY id"
        )
        return [(session, self._environment_told(text)) for session, text in found]

    def refuse_other_environment(self, environment: Mapping[str, Any]) -> None:
        """See that what is trained here can stand beside what is here already.

        Args:
            environment: this one, as plain values (JSON).

        Raises:
            StoreError: when all of it was trained where the bits of results may be others. A
                session that says little vouches for nobody whom a fuller one contradicts.
        """
        here = json.loads(json.dumps(environment))
        told = [there for _, there in self._sessions()]
        *there, place = alike([*told, here]).tolist()
        if told and place not in there:
            different = next(words for one in told if (words := other_bits(one, here)))
            raise StoreError(
                f"{self.folder} was trained elsewhere: {different}. Go on there, give another "
                "--out, or have each seed marked by where it was trained: --other-environment"
            )

    def _environment_told(self, text: str) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self.damaged("what it says of an environment cannot be read")
        return found

    def write_chunk(self, result: ChunkResult) -> None:
        """Add a finished chunk, whole or not at all.

        Raises:
            StoreError: when it cannot be written (a full disk, say); the database is as before.
        """
        curves = safetensors.numpy.save(dict(result.curves))
        params = safetensors.numpy.save(dict(result.params)) if result.params else None
        rows = stored_rows(result)
        digest = chunk_digest(rows, curves, params, self._environment)
        with self._errors(), self._transaction():
            self._mark_format()
            session = self._session or self._begun_session()
            (chunk,) = self._database.execute(
                "INSERT INTO chunk (session, curves, params, digest) VALUES (?, ?, ?, ?) "
                "RETURNING id",
                (session, curves, params, digest),
            ).fetchone()
            places = ", ".join("?" * (len(SEED_COLUMNS) + 2))
            self._database.executemany(
                f"INSERT INTO replicate VALUES ({places})",
                [(*row[:-1], chunk, row[-1]) for row in rows],
            )
        self._session = session
        self._lanes[chunk] = 1 + max(row[-1] for row in rows)

    def _begun_session(self) -> int:
        """A session of this environment, begun with its first chunk."""
        (session,) = self._database.execute(
            "INSERT INTO session (environment) VALUES (?) RETURNING id", (self._environment,)
        ).fetchone()
        return session

    def _mark_format(self) -> None:
        """Say, in the transaction that writes a digest, that older versions cannot read it."""
        if self._pragma("user_version") != FORMAT:
            self._database.execute(f"PRAGMA user_version = {FORMAT}")

    def chunks_without_params(self, seeds: range) -> list[list[int]]:
        """The seeds of each chunk that has no weights and has one of these seeds, lane by lane."""
        chunks = self._query(
            "SELECT chunk, MIN(model) FROM replicate JOIN chunk ON chunk = id "
            "WHERE params IS NULL AND seed BETWEEN ? AND ? GROUP BY chunk",
            (seeds.start, seeds.stop - 1),
        )
        members = "SELECT seed FROM replicate WHERE chunk = ? AND model = ? ORDER BY lane"
        return [[seed for (seed,) in self._query(members, chunk)] for chunk in chunks]

    def add_params(self, result: ChunkResult) -> None:
        """Add the weights to a chunk that was written without them, and is now trained again.

        Raises:
            StoreError: when the result is another than the one here, or it cannot be written.
        """
        curves = safetensors.numpy.save(dict(result.curves))
        params = safetensors.numpy.save(dict(result.params))
        rows = stored_rows(result)
        chunk, digest, environment = self._query(
            "SELECT chunk.id, digest, environment FROM chunk JOIN replicate ON chunk = chunk.id "
            "JOIN session ON session = session.id WHERE model = ? AND seed = ?",
            rows[0][:2],
        )[0]
        if digest not in (
            chunk_digest(rows, curves, None, environment),
            chunk_digest(rows, curves, None, None),  # of format 3
        ):
            raise StoreError(
                f"{self._path} has other results of seed {rows[0][1]} than this machine gets, so "
                "its weights cannot be added; give another --out"
            )
        with self._errors(), self._transaction():
            self._mark_format()
            self._database.execute(
                "UPDATE chunk SET params = ?, digest = ? WHERE id = ?",
                (params, chunk_digest(rows, curves, params, environment), chunk),
            )

    def seeds(self, seeds: range) -> pl.DataFrame:
        """The table of seeds (`SEED_COLUMNS`), in order of model and seed.

        Args:
            seeds: which ones.
        """
        use_threads()  # polars'
        statement = (
            f"SELECT {', '.join(SEED_COLUMNS)} FROM replicate WHERE seed BETWEEN ? AND ? "
            "ORDER BY model, seed"
        )
        schema = dict(SEED_COLUMNS)
        parts = [pl.DataFrame(schema=schema)]
        with self._errors():
            # A row is ten times larger as Python's objects than in the table: a few at a time.
            cursor = self._database.execute(statement, (seeds.start, seeds.stop - 1))
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                try:
                    parts.append(pl.DataFrame(rows, schema=schema, orient="row"))
                except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
                    raise self.damaged("a number is larger than any") from error
        return pl.concat(parts, rechunk=True)

    def curve_blocks(self, model: str, seeds: range) -> Iterator[dict[str, np.ndarray]]:
        """The learning curves of one model, some points at a time, however many the seeds.

        Args:
            model: whose.
            seeds: which ones.

        Yields:
            By name (`CURVES`), arrays `(point, seed)` of the next points; seeds in no order.
        """
        lanes = self._lanes_by_chunk(model, seeds)
        n_seeds = sum(len(members) for _, members in lanes)
        start, n_points = 0, 1
        at_once = max(1, BLOCK_BYTES // max(1, 4 * len(CURVES) * n_seeds))
        while lanes and start < n_points:
            parts: dict[str, list[np.ndarray]] = {name: [] for name in CURVES}
            for chunk, members in lanes:
                arrays = self._arrays("curves", chunk, model)
                if parts[CURVES[0]] and len(arrays[CURVES[0]]) != n_points:
                    raise self.damaged("its curves have not the same points")
                n_points = len(arrays[CURVES[0]])
                for name in CURVES:
                    parts[name].append(arrays[name][start : start + at_once, members])
            yield {name: np.concatenate(arrays, 1) for name, arrays in parts.items()}
            start += at_once

    def params_blocks(
        self, model: str, seeds: range
    ) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """The weights kept of one model, a chunk at a time: its seeds, and their stacked params."""
        for chunk, members in self._lanes_by_chunk(model, seeds):
            if not self._has_params(chunk):
                continue
            found = self._numbers(
                "SELECT seed FROM replicate WHERE chunk = ? AND model = ? ORDER BY lane",
                (chunk, model),
            )
            arrays = self._arrays("params", chunk, model)
            yield found[members], {key: array[members] for key, array in sorted(arrays.items())}

    def seeds_with_params(self, model: str, seeds: range) -> np.ndarray:
        """Which of these seeds have weights of one model here, in order."""
        return self._numbers(
            "SELECT seed FROM replicate JOIN chunk ON chunk = id WHERE model = ? "
            "AND seed BETWEEN ? AND ? AND params IS NOT NULL ORDER BY seed",
            (model, seeds.start, seeds.stop - 1),
        )

    def curves(self, model: str, seeds: range) -> dict[str, np.ndarray]:
        """The learning curves of one model, by name (`CURVES`), arrays `(point, seed)`."""
        found = self._gather("curves", model, seeds, lambda name: name in CURVES, axis=1)
        return {name: found[name] for name in CURVES} if found else {}

    def scores(self, model: str, seeds: range) -> dict[str, np.ndarray]:
        """What is recorded of one model besides its rows and curves, seeds in order and last.

        Returns:
            By name, arrays `(seed,)`: "scores/METRIC", "majority/METRIC" (whoever always predicts
            the largest class), "counts/NAME" (such as the epochs that early stopping took); and
            "confusion", `(true, predicted, seed)`. Empty where nothing is.
        """
        return self._gather(
            "curves",
            model,
            seeds,
            lambda name: name not in CURVES and not name.startswith(WARNED),
            axis=-1,
        )

    def warnings(self, model: str, seeds: range) -> dict[str, int]:
        """What was warned of one model's training: by text, of how many of these seeds.

        Returns:
            The most frequent first.
        """
        counts: dict[str, int] = {}
        for chunk, members in self._lanes_by_chunk(model, seeds):
            blob = self._blob("curves", chunk)
            names = blob[8 : 8 + int.from_bytes(blob[:8], "little")]
            # Of most chunks there is nothing to tell, and all there is need not be unpacked.
            arrays = self._arrays("curves", chunk, model) if WARNED.encode() in names else {}
            for key, which in arrays.items():
                if key.startswith(WARNED):
                    text = key.removeprefix(WARNED)
                    counts[text] = counts.get(text, 0) + int(which[members].sum())
        found = ((text, count) for text, count in counts.items() if count)
        return dict(sorted(found, key=lambda one: (-one[1], one[0])))

    def params(self, model: str, seeds: range) -> tuple[list[int], dict[str, np.ndarray]]:
        """The weights kept of one model: the seeds that have them, and their stacked params."""
        found = self.seeds_with_params(model, seeds).tolist()
        return found, self._gather("params", model, seeds, lambda name: True, axis=0)

    def _gather(
        self,
        column: str,
        model: str,
        seeds: range,
        is_wanted: Callable[[str], bool],
        axis: int,
    ) -> dict[str, np.ndarray]:
        """Arrays of one model out of the chunks' blobs, in order of seed."""
        parts: list[dict[str, np.ndarray]] = []
        order: list[int] = []
        chunks = self._query(
            "SELECT chunk, json_group_array(json_array(seed, lane)) FROM replicate "
            "WHERE model = ? AND seed BETWEEN ? AND ? GROUP BY chunk",
            (model, seeds.start, seeds.stop - 1),
        )
        for chunk, members in chunks:
            if column == "params" and not self._has_params(chunk):
                continue
            arrays = self._arrays(column, chunk, model)
            found, lanes = zip(*json.loads(members), strict=True)
            order += found
            parts.append(
                {
                    name: np.take(array, lanes, axis)
                    for name, array in arrays.items()
                    if is_wanted(name)
                }
            )
        by_seed = np.argsort(order)
        try:
            whole = joined(parts, axis)
        except ValueError as error:
            raise self.damaged(f"{model}: {error}") from error
        # safetensors hands keys out in no order.
        return {name: np.take(array, by_seed, axis) for name, array in sorted(whole.items())}

    def _blob(self, column: str, chunk: int) -> Any:
        return self._query(f"SELECT {column} FROM chunk WHERE id = ?", (chunk,))[0][0]

    def _has_params(self, chunk: int) -> bool:
        return bool(
            self._query("SELECT params IS NOT NULL FROM chunk WHERE id = ?", (chunk,))[0][0]
        )

    def _arrays(self, column: str, chunk: int, model: str) -> dict[str, np.ndarray]:
        """What a chunk's blob holds of one model, by name; looked at."""
        check = check_curves if column == "curves" else check_params
        try:
            whole = unpacked(self._blob(column, chunk))
            own = {
                key.removeprefix(f"{model}/"): array
                for key, array in whole.items()
                if key.startswith(f"{model}/")
            }
            check(own, self._lanes[chunk])
        except ValueError as error:
            raise self.damaged(f"chunk {chunk}, {model}: {error}") from error
        return own

    def _lanes_by_chunk(self, model: str, seeds: range) -> list[tuple[int, np.ndarray]]:
        """The chunks that hold these seeds, and the lanes in which they do."""
        with self._errors():
            cursor = self._database.execute(
                "SELECT chunk, json_group_array(lane) FROM replicate "
                "WHERE model = ? AND seed BETWEEN ? AND ? GROUP BY chunk",
                (model, seeds.start, seeds.stop - 1),
            )
            return [(chunk, np.array(json.loads(lanes), np.int32)) for chunk, lanes in cursor]
