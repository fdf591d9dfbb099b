"""What the documentation says is so: every block of every page runs, every link leads somewhere."""

import csv
import gzip
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT, Reader, begins_in_workspace, blocks_of, copy_workspace, environment

CREDIT = ROOT / "examples" / "credit_risk" / "uci_credit_card_default.csv.gz"
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "dev")]
LANGUAGES = {"python", "console", "yaml", "json", "text", ""}
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv, score.csv, outcomes.csv and a workspace `bank` with the project `loans`, not yet run."""
    folder = tmp_path_factory.mktemp("prepared")
    write_files(folder)
    for words in (
        ["init", "bank"],
        ["new", "loans", "--data", "../train.csv", "--target", "BAD"],
    ):
        here = folder if words[0] == "init" else folder / "bank"
        done = subprocess.run(
            ["modelway", *words], cwd=here, env=environment(), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def write_files(folder: Path) -> None:
    """Real clients as three files: rows to learn from, rows to predict, and what became of those."""
    with gzip.open(CREDIT, "rt") as text:
        rows = [
            {("BAD" if name == "class" else name): value for name, value in row.items()} for row in csv.DictReader(text)
        ]
    _write(folder / "train.csv", rows[:2000])
    _write(folder / "score.csv", [{n: v for n, v in row.items() if n != "BAD"} for row in rows[2000:2300]])
    _write(folder / "outcomes.csv", [{"ID": row["ID"], "BAD": row["BAD"]} for row in rows[2000:2300]])


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [p for p in PAGES if any(b.language for b in blocks_of(p))], ids=_name)
def test_every_block_of_the_page_runs(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    here = tmp_path
    if begins_in_workspace(page):
        copy_workspace(request.getfixturevalue("prepared"), tmp_path)
        here = tmp_path / "bank"
    elif page.name == "README.md":
        write_files(tmp_path)
    (tmp_path / CREDIT.name).symlink_to(CREDIT)
    with Reader(page, here) as reader:
        for block in blocks_of(page):
            reader.do(block)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_blocks_have_a_language_that_is_known_and_marks_that_mean_something(page: Path) -> None:
    for block in blocks_of(page):
        assert block.language in LANGUAGES, f"{_name(page)}:{block.line}"
        assert block.marks.keys() <= {"shown", "fails", "says", "until", "into", "file", "workspace"}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_a_stack_that_is_only_shown_is_a_stack(page: Path) -> None:
    from modelway.spec.stack import Stack

    for block in blocks_of(page):
        told = yaml.safe_load(block.text) if block.language == "yaml" and "shown" in block.marks else None
        if told and told.keys() <= Stack.model_fields.keys() - {"features"} and "python" not in told.get("serving", {}):
            Stack.model_validate(told)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in _LINK.findall(page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{_name(page)} points to {target}"


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in _LINK.findall(index.read_text())}
    assert {page for page in PAGES if page.is_relative_to(index.parent)} - {index} <= linked


def test_the_page_of_expressions_names_every_function_and_operator_with_its_grammar() -> None:
    from modelway.expressions import grammar
    from modelway.expressions.meaning import FUNCTIONS, MANY, OPERATORS

    page = (ROOT / "docs" / "reference" / "expressions.md").read_text()
    assert [name for name in FUNCTIONS if f"`{name}(" not in page] == []
    signs = [
        *(set(OPERATORS) - {grammar.MINUS, "and", "or", "not", "in", "**"}),
        "a and b",
        "a or b",
        "not a",
        "-a",
        "a ** b",
    ]
    assert [sign for sign in signs if f"`{sign}`" not in page] == []
    rules = [line.partition("  ")[0] for line in (grammar.__doc__ or "").splitlines() if " = " in line]
    told = "\n".join(line.strip() for line in page.splitlines())
    assert [rule for rule in rules if rule.split(" = ")[0].strip() + " " not in told] == []
    assert f"2 to {MANY} " in page
    assert f"{grammar.MOST_TOKENS} parts" in page
    assert f"{grammar.MOST_NESTED} nested" in page


def test_a_block_is_found_with_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('Text.\n\n<!-- fails 3 -->\n<!-- says "a b" -->\n```console\n$ one\ntwo\n```\n\n```\nplain\n```\n')
    first, second = blocks_of(page)
    assert (first.language, first.commands, first.line) == ("console", ["one"], 5)
    assert first.marks == {"fails": "3", "says": "a b"}
    assert (second.language, second.marks) == ("", {})


def test_a_block_that_is_never_closed_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n")
    with pytest.raises(ValueError, match=r"page\.md:1"):
        blocks_of(page)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nraise RuntimeError('told')\n```\n",
        "```console\n$ modelway nosuch\n```\n",
        "<!-- fails 1 -->\n```console\n$ modelway --version\n```\n",
        '<!-- says "nosuch" -->\n```console\n$ modelway --version\n```\n',
        "```yaml\nmodel: loans\ntask: binary\nnosuch: 1\n```\n",
    ],
)
def test_a_page_that_is_wrong_fails(text: str, tmp_path: Path) -> None:
    from modelway.errors import SpecError

    page = ROOT / "docs" / "index.md"
    wrong = tmp_path / "wrong.md"
    wrong.write_text(text)
    with pytest.raises((AssertionError, RuntimeError, SpecError)), Reader(page, tmp_path) as reader:  # noqa: PT012
        for block in blocks_of(wrong):
            reader.do(block)
