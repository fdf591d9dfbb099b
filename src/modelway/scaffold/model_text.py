"""model.py of a new model: what a data scientist would try first for a table of this size."""

from collections.abc import Sequence

from modelway.scaffold.look import Look

_LARGE = 20_000
_MOST_TREES = 1500
"""Each round grows a tree for each class."""
_WIDTH = 110


def model_text(model: str, look: Look) -> str:
    """The file; it names every column that enters."""
    return (_linear if look.linear else _trees)(model, look)


def _trees(model: str, look: Look) -> str:
    regression = look.target.task == "regression"
    name = "HistGradientBoostingRegressor" if regression else "HistGradientBoostingClassifier"
    rows, width = look.target.rows, len(look.used)
    large = rows >= _LARGE
    classes = len(look.target.counts) if look.target.task == "multiclass" else 1
    defaults = {
        "learning_rate": 0.05,
        "max_iter": min(250 if large else 150, max(30, _MOST_TREES // classes)),
        "max_leaf_nodes": 31 if rows >= 5 * _LARGE else 15,
        "min_samples_leaf": 40 if large else 20,
        "l2_regularization": 1.0,
        "max_features": 0.5 if width >= 6 else 1.0,
    }
    imports = ["from sklearn.ensemble import " + name]
    parts, settings = ['("numbers", "passthrough", NUMBERS)'], []
    before: list[str] = []
    if look.words:
        imports.append("from sklearn.preprocessing import OrdinalEncoder")
        before = [
            "    codes = OrdinalEncoder(",
            '        handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=5, max_categories=200',
            "    )  # rare words share a code; a word that is new counts as missing",
        ]
        parts.insert(0, '("words", codes, WORDS)')
        settings.append("        categorical_features=range(len(WORDS)),\n")
    if not look.numbers:
        parts.pop()
    return _file(
        f'"""{model}: boosted trees; they take missing numbers as they are, and categories by their codes."""',
        ["from sklearn.compose import ColumnTransformer", *imports, "from sklearn.pipeline import Pipeline"],
        look,
        [
            "DEFAULTS = {",
            *(f'    "{key}": {value},' for key, value in defaults.items()),
            "}",
            "",
            "",
            "def build(params):",
            '    """An unfitted estimator; params come from training.params in modelway.yaml, or from a search."""',
            *before,
            f"    columns = ColumnTransformer([{', '.join(parts)}])",
            f"    trees = {name}(",
            "        **(DEFAULTS | params),",
            *(line.rstrip("\n") for line in settings),
            "        early_stopping=False,",
            "        random_state=0,",
            "    )",
            '    return Pipeline([("columns", columns), ("trees", trees)])',
            "",
            "",
            "def search_space(trial):",
            '    """What a search may try (training: {search: {trials: 30}} in modelway.yaml); trial is Optuna\'s."""',
            "    return {",
            '        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),',
            '        "max_iter": trial.suggest_int("max_iter", 50, 400, step=50),',
            '        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 4, 48, log=True),',
            '        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 5, 100, log=True),',
            '        "l2_regularization": trial.suggest_float("l2_regularization", 0.01, 30.0, log=True),',
            "    }",
        ],
    )


def _linear(model: str, look: Look) -> str:
    regression = look.target.task == "regression"
    name, strength = ("Ridge", "alpha") if regression else ("LogisticRegression", "C")
    made = 'Ridge(alpha=params.get("alpha", 1.0))'
    if not regression:
        made = 'LogisticRegression(C=params.get("C", 1.0), max_iter=5000)'
    imports = [
        "from sklearn.compose import ColumnTransformer",
        f"from sklearn.linear_model import {name}",
        "from sklearn.pipeline import Pipeline",
    ]
    before, parts, tools = [], [], []
    if look.numbers:
        imports.append("from sklearn.impute import SimpleImputer")
        tools.append("StandardScaler")
        before += [
            '    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)',
            '    numbers = Pipeline([("fill", fill), ("scale", StandardScaler())])',
        ]
        parts.append('("numbers", numbers, NUMBERS)')
    if look.words:
        tools.append("OneHotEncoder")
        before.append(
            '    words = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=3, sparse_output=False)'
        )
        parts.append('("words", words, WORDS)')
    imports.append(f"from sklearn.preprocessing import {', '.join(sorted(tools))}")
    return _file(
        f'"""{model}: a regularised linear model; {look.target.rows} rows are few for more."""',
        imports,
        look,
        [
            "def build(params):",
            '    """An unfitted estimator; params come from training.params in modelway.yaml, or from a search."""',
            *before,
            f"    columns = ColumnTransformer([{', '.join(parts)}])",
            f"    model = {made}",
            '    return Pipeline([("columns", columns), ("model", model)])',
            "",
            "",
            "def search_space(trial):",
            '    """What a search may try (training: {search: {trials: 30}} in modelway.yaml); trial is Optuna\'s."""',
            f'    return {{"{strength}": trial.suggest_float("{strength}", 0.001, 100.0, log=True)}}',
        ],
        gap=True,
    )


def _file(title: str, imports: Sequence[str], look: Look, body: Sequence[str], *, gap: bool = False) -> str:
    lists = []
    if look.numbers:
        lists += _listed("NUMBERS", look.numbers)
    if look.words:
        lists += _listed("WORDS", look.words)
    lines = [
        title,
        "",
        *sorted(imports, key=lambda line: line.split()[1]),
        "",
        '# A missing number comes as NaN, a missing word as "", a date as days since 1970.',
        "# Only columns that are named here enter the model: add the features that you declare in modelway.yaml.",
        *lists,
        *([""] if gap else []),
        "",
        *body,
    ]
    return "\n".join(lines) + "\n"


def _listed(name: str, columns: Sequence[str]) -> list[str]:
    """A list of names, as many a line as fit."""
    items = [_text(column) for column in columns]
    line = f"{name} = [{', '.join(items)}]"
    if len(line) <= _WIDTH:
        return [line]
    lines, current = [f"{name} = ["], "   "
    for item in items:
        if len(current) + len(item) + 2 > _WIDTH and current.strip():
            lines.append(current)
            current = "   "
        current += f" {item},"
    return [*lines, current, "]"]


def _text(value: str) -> str:
    """Python source of a text, in double quotes where that needs no escapes."""
    shown = repr(value)
    return f'"{shown[1:-1]}"' if shown.startswith("'") and '"' not in shown and "\\'" not in shown else shown
