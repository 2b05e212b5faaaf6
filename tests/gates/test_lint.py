"""The lint: each rule refuses what it names and lets the neighbouring right thing pass."""

import datetime

import nbformat
import pytest
import tiny

from authoring import build, deprecations, lint


def lesson_of(tmp_path, text: str) -> build.Lesson:
    course = tiny.course(tmp_path, text)
    return build.read_lesson(course.lessons / "07_tiny.py")


def source_faults(tmp_path, extra: str) -> list[str]:
    return lint.source_faults(lesson_of(tmp_path, tiny.source(extra)))


def test_the_tiny_lesson_has_no_fault(tmp_path):
    assert source_faults(tmp_path, "") == []


@pytest.mark.parametrize("number", ["I1", "I4", "09b"])
def test_a_lesson_of_the_interview_half_is_a_lesson(tmp_path, number):
    text = tiny.source().replace("# 07 · Tiny", f"# {number} · Tiny")
    course = tiny.course(tmp_path, text, stem=f"{number}_tiny")
    (path,) = course.sources([number])
    assert course.sources() == [path]
    assert lint.source_faults(build.read_lesson(path)) == []
    assert build.check(course) == [
        f"{number}_tiny: notebooks/{number}_tiny.ipynb is missing; "
        f"build it: python src/authoring/build.py {number}_tiny"
    ]
    link = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"[see]({number}_tiny.ipynb#Top)")])
    assert lint.link_faults(course, link) == []


def test_a_lesson_of_the_interview_half_needs_its_own_number_and_comes_last(tmp_path):
    course = tiny.course(tmp_path, tiny.source(), stem="I1_tiny")
    tiny.course(tmp_path, tiny.source(), stem="17_tiny")
    assert [path.stem for path in course.sources()] == ["17_tiny", "I1_tiny"]
    (fault,) = lint.source_faults(build.read_lesson(course.lessons / "I1_tiny.py"))
    assert "`# I1 · …`" in fault


# Old calls -------------------------------------------------------------------------------------------------

OLD = [
    "mlflow.list_experiments()",
    "client.list_run_infos('0')",
    "mlflow.set_tracking_uri('./mlruns')",
    "mlflow.set_tracking_uri('file:/x/mlruns')",
    "mlflow.sklearn.log_model(model, artifact_path='model')",
    "mlflow.sklearn.log_model(model, 'model')",
    "mlflow.pyfunc.load_model(f'runs:/{run_id}/model')",
    "MlflowClient('http://localhost:5000')",
    "!mlflow ui --port 5000",
    "client.transition_model_version_stage('trips', 1, 'Production')",
    "client.get_latest_versions('trips', stages=['Production'])",
    "mlflow.pyfunc.load_model('models:/trips/Production')",
    "mlflow.evaluate(model, data)",
    "mlflow.models.evaluate(model, data, validation_thresholds=limits)",
    "mlflow.sklearn.log_model(model, name='model', serialization_format='cloudpickle')",
    "!mlflow run . --no-conda",
    "!mlflow models serve -m x --enable-mlserver",
    "mean_squared_error(y, p, squared=False)",
    "OneHotEncoder(sparse=False)",
    "encoder.get_feature_names()",
    "from sklearn.externals import joblib",
    "from sklearn.datasets import load_boston",
    "model.fit(x, y, early_stopping_rounds=10)",
    "model.fit(x, y, eval_metric='rmse')",
    "XGBRegressor(tree_method='gpu_hist')",
    "XGBClassifier(use_label_encoder=False)",
    "fmin(error, space, rstate=np.random.RandomState(0))",
    "trial.suggest_loguniform('rate', 0.01, 0.5)",
    "LogUniformDistribution(0.01, 0.5)",
    "frame.append(row, ignore_index=True)",
    "frame.fillna(method='ffill')",
    "frame['fare'][frame['fare'] < 0] = 0",
    "frame['fare'][mask] = 0",
    "frame['fare'].fillna(0, inplace=True)",
    "pd.to_datetime(x, infer_datetime_format=True)",
    "frame.resample('M').sum()",
    "pd.date_range(start, periods=3, freq='H')",
    "frame.applymap(str)",
    "pd.read_parquet(path, engine='fastparquet')",
    "from fbprophet import Prophet",
]
TODAY = [
    "mlflow.search_experiments()",
    "mlflow.set_tracking_uri('sqlite:///mlflow.db')",
    "mlflow.sklearn.log_model(model, name='model')",
    "mlflow.log_artifact('plot.png', artifact_path='plots')",
    "mlflow.artifacts.download_artifacts(artifact_uri=f'runs:/{run_id}/plots/plot.png')",
    "mlflow.pyfunc.load_model('models:/trips@champion')",
    "mlflow.pyfunc.load_model('models:/trips/3')",
    "mlflow.models.evaluate(model, data)",
    "root_mean_squared_error(y, p)",
    "OneHotEncoder(sparse_output=False)",
    "XGBRegressor(early_stopping_rounds=10, eval_metric='rmse').fit(x, y)",
    "names.append('x')",
    "frame.loc[mask, 'fare'] = 0",
    "scores['ridge']['rmse'] = 1.0",
    "scores['ridge'][fold] = 1.0",
    "frame['fare'] = frame['fare'].fillna(0)",
    "frame.resample('ME').sum()",
    "pd.date_range(start, periods=3, freq='h')",
    "server = tracking_server(folder)  # 15000 rows",
]


@pytest.mark.parametrize("call", OLD)
def test_an_old_call_is_refused(tmp_path, call):
    found = source_faults(tmp_path, f"\n# %%\n{call}\n")
    assert len(found) == 1
    assert "is out of date" in found[0]
    assert "line 1" in found[0]


@pytest.mark.parametrize("call", TODAY)
def test_the_call_of_today_passes(call):
    assert deprecations.found_in(call) == []


def test_every_row_refuses_at_least_one_old_call():
    hit = {row.old for call in OLD for _, row in deprecations.found_in(call)}
    assert {row.old for row in deprecations.TABLE} == hit


def test_history_and_prose_may_show_an_old_call(tmp_path):
    shown = (
        '\n# %% tags=["history"]\nmlflow.list_experiments()\n\n# %% [markdown]\n# `artifact_path=` it was.\n'
    )
    assert source_faults(tmp_path, shown) == []


def test_an_old_call_in_the_exercises(tmp_path):
    lesson = lesson_of(tmp_path, tiny.source())
    with lesson.exercises.open("a", encoding="utf-8") as file:
        file.write("\n\ndef old(y, p):\n    return mean_squared_error(y, p, squared=False)\n")
    assert any("07_tiny.py" in fault and "out of date" in fault for fault in lint.source_faults(lesson))


def test_the_table_fills_the_lesson(tmp_path):
    lesson = lesson_of(
        tmp_path,
        tiny.source(
            "\n# %%\nroot_mean_squared_error([1], [n])\n"
            "\n# %% [markdown]\n# It came after `from prophet import Prophet`.\n"
            "\n# %% [markdown]\n# ## What changed\n# {{ what_changed: sklearn, prophet }}\n"
        ),
    )
    assert lint.source_faults(lesson) == []
    text = "\n".join(cell.source for cell in build.generate(lesson).cells)
    assert "| You will still read | Today | Since |" in text
    assert "`root_mean_squared_error(y, p)` | scikit-learn `1.4`" in text
    assert "fbprophet" in text
    assert "OneHotEncoder" not in text, "no call of the lesson's"
    assert "gpu_hist" not in text
    assert "{{" not in text


def test_an_unknown_topic_is_an_error(tmp_path):
    lesson = lesson_of(tmp_path, tiny.source("\n# %% [markdown]\n# {{ what_changed: mlfow }}\n"))
    with pytest.raises(build.LessonError, match="knows no topic 'mlfow'; it knows mlflow-models"):
        build.generate(lesson)


# Cells -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extra, words",
    [
        ("# %%\n" + "x = 1\n" * 21, "21 lines of code, at most 20"),
        ("# %%\nopen('/home/me/data.csv')\n", "an absolute path (/home/m"),
        ("# %%\nopen(r'C:\\Users\\me')\n", "an absolute path"),
        (
            "# %%\nrows = pq.read_table('rows.parquet')\n",
            "read_table opens files where the build does not see",
        ),
        ("# %% [markdown]\n# See /tmp/data.\n", "an absolute path"),
        ("# %% [markdown]\n# ![](../images/x.png)\n", "an image without alt text"),
        ("# %% [markdown]\n# ![figure](../images/x.png)\n", "an image without alt text"),
        ('# %% [markdown]\n# <img src="x.png">\n', "an <img> without alt text"),
        ("# %% [markdown]\n# You simply run it.\n", "no «simply»"),
        ("# %% [markdown]\n# Just run it.\n", "no «just»"),
        ("# %% [markdown]\n# It runs!\n", "no exclamation mark"),
        ('# %% exercise="half"\n# %%\nn\n', "no cell that calls exercise.check(half)"),
        ("# %% [markdown]\n# {{ what_changed: pandas }}\n", "under no heading"),
    ],
)
def test_a_cell_is_refused(tmp_path, extra, words):
    found = source_faults(tmp_path, "\n" + extra)
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    "extra",
    [
        "# %%\n" + "x = 1\n\n" * 20,
        "# %% [markdown]\n# ![A bar chart of trips per month](../images/x.png)\n",
        "# %% [markdown]\n# Adjust it, a simple thing; `!ls`, `just` and a != b. <!-- wow! -->\n",
        "# %%\nurl = 'https://example.org/home/me'\npath = 'work/data'\n",
    ],
)
def test_a_cell_passes(tmp_path, extra):
    assert source_faults(tmp_path, "\n" + extra) == []


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("# # 07 · Tiny", "# # Tiny", "title `# 07 · …`"),
        ("**Before you start**", "", "'Before you start'"),
        ("## Take-aways", "## The end", "`## Take-aways`"),
        ("## In an interview", "## The end", "`## In an interview`"),
        ("## Up next", "## The end", "`## Up next`"),
        ('# %% exercise="triple"\n# %%\ncheck(triple)\n', "", "1 exercises"),
        ("ci: {n: 2}", "ci: {m: 2}", "the header's ci sets 'm'"),
    ],
)
def test_the_frame(tmp_path, old, new, words):
    text = tiny.source()
    assert old in text
    found = lint.source_faults(lesson_of(tmp_path, text.replace(old, new)))
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize("count", [0, 2])
def test_one_cell_holds_the_parameters(tmp_path, count):
    cell = '# %% tags=["parameters"]\nn = 3\n'
    text = tiny.source().replace(cell, cell * count)
    with pytest.raises(build.LessonError, match=f"{count} cells are tagged `parameters`"):
        lesson_of(tmp_path, text)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ('exercise="double"\n', 'exercise="double"\ndef double(x): ...\n', "must be empty"),
        ('exercise="double"', 'exercise="quadruple"', "quadruple"),
        ('name="scores"', 'name="the scores"', "may hold only letters"),
    ],
)
def test_a_lesson_that_is_none(tmp_path, old, new, words):
    text = tiny.source()
    assert old in text
    with pytest.raises(build.LessonError, match=words):
        build.generate(lesson_of(tmp_path, text.replace(old, new)))


def test_two_cells_of_one_name(tmp_path):
    text = tiny.source('\n# %% name="scores"\nn\n')
    with pytest.raises(build.LessonError, match="two cells are named 'scores'"):
        build.generate(lesson_of(tmp_path, text))


def test_a_new_cell_changes_no_other_id(tmp_path):
    before = [cell.id for cell in build.generate(lesson_of(tmp_path, tiny.source())).cells]
    after = [cell.id for cell in build.generate(lesson_of(tmp_path, tiny.source("\n# %%\nn + 1\n"))).cells]
    assert len(after) == len(before) + 1
    assert set(before) < set(after)
    assert {"scores", "exercise-double", "exercise-triple"} < set(before)


def test_stub_and_solution(tmp_path):
    lesson = lesson_of(tmp_path, tiny.source())
    cells = [
        {cell.id: cell.source for cell in build.generate(lesson, solved).cells} for solved in (False, True)
    ]
    stub, solution = (cell["exercise-double"] for cell in cells)
    assert "TODO" in stub
    assert "2 * x" not in stub
    assert "2 * x" in solution
    assert "TODO" not in solution


# Links and outputs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target, sound",
    [
        ("07_tiny.ipynb", True),
        ("07_tiny.ipynb#up-next", True),
        ("#up-next", True),
        ("https://example.org/x", True),
        ("../src/lessons/07_tiny.py", True),
        ("08_gone.ipynb", False),
        ("../images/gone.png", False),
        ("src/lessons/07_tiny.py", False),
    ],
)
def test_links(tmp_path, target, sound):
    course = tiny.course(tmp_path, tiny.source())
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"See [it]({target}).")])
    assert bool(lint.link_faults(course, notebook)) is not sound


def output_faults(**data: str) -> list[str]:
    output = nbformat.v4.new_output(
        "display_data", {name.replace("_", "/"): text for name, text in data.items()}
    )
    cell = nbformat.v4.new_code_cell("", outputs=[output])
    return lint.output_faults(nbformat.v4.new_notebook(cells=[cell]), today=datetime.date(2026, 11, 21))


@pytest.mark.parametrize(
    "text, words",
    [
        ("<object at 0x7f79f3776910>", "a memory address"),
        ("run 0123456789abcdef0123456789abcdef", "a run or model id"),
        ("m-0123456789abcdef0123456789abcdef", "a run or model id"),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", "a random id"),
        ("http://localhost:41207", "a port"),
        ("1795220000123", "a clock time in milliseconds"),
        ("2026-11-21 07:52:11", "today's date"),
        ("/tmp/walk/x", "an absolute path"),
        ("/dev/shm/walk/x", "an absolute path"),
        ("C:\\Users\\me", "an absolute path"),
    ],
)
def test_an_output_that_changes_or_tells_too_much(text, words):
    assert any(words in fault for fault in output_faults(text_plain=text))
    assert any(words in fault for fault in output_faults(text_html=f"<p>{text}</p>"))


def test_outputs_that_may_stay():
    text = "2019-11-21 07:52:11, 12:30, 0x1F, 1,000,000, zone 132, a/b, 0.1234567890123"
    assert output_faults(text_plain=text) == []


def test_sizes():
    assert output_faults(image_png="A" * 79_000) == []
    assert "a figure of 75 KB" in output_faults(image_png="A" * 100_000)[0]
    assert "the notebook has 1.2 MB" in output_faults(text_plain="A" * 1_200_000)[0]


def test_a_random_table_id_and_a_widget():
    assert any("set_uuid" in fault for fault in output_faults(text_html='<table id="T_0a1b2">'))
    cell = nbformat.v4.new_code_cell("")
    cell.outputs = [
        nbformat.v4.new_output(
            "display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
        )
    ]
    assert "a widget" in lint.output_faults(nbformat.v4.new_notebook(cells=[cell]))[0]


def test_ruff_judges_the_cells_as_a_student_gets_them(tmp_path):
    text = tiny.source("\n# %%\nimport os\nx=1\nundefined_name\n")
    lesson = lesson_of(tmp_path, text)
    found = "\n".join(lint.ruff_faults(build.Course(tmp_path), build.generate(lesson)))
    assert "F401" in found
    assert "F821" in found
    assert "format" in found
    assert "double" not in found, "the stub of an exercise defines its name"
