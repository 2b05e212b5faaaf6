"""Advertisements by their own words: each word's lessons exist, and a name is no part of another word."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from course import lessons, outline
from course.practice import advertisement
from course.practice.advertisement import AdvertisementError, Term, Weights, load_terms, named, plain, read
from course.practice.bank import load_bank

TERMS = {term.term: term for term in load_terms()}
TO_COME = {"02", "08", "08a", "10", "12", "13c", "15c", "16", "17"}
ASKED_FOR = """Kafka, Terraform, Scala, SageMaker, Vertex AI, Kubeflow, Airflow, Azure ML, Databricks, Spark,
Delta Lake, Docker, Kubernetes, MLflow, XGBoost, Prophet, Teradata, Jenkins, R, Go, CI/CD,
scikit-learn, SQL, Python"""

CONSULTING = """Senior Machine Learning Engineer, consulting (Azure)

You bring models of our clients into production: on Azure ML and Databricks, with Spark and
Delta Lake behind them. You build CI/CD with Azure DevOps, ship with Docker and k8s, write the
infrastructure in Terraform and watch for data drift. We expect Python, SQL, scikit learn and
unit tests; Scala or Kafka are welcome. You excel in front of a client, enjoy code reviews, and
go the extra mile. Our R&D team and the rest of us look forward to you!"""
FORECASTING = """Forecasting scientist, retail. Time-Series forecasting of the demand of 900 stores: you own
Prophet and XGBoost models, back-testing with rolling windows, prediction intervals, and ARIMA
baselines. Python, R or Julia."""
PLATFORM = """MLOps Engineer (platform)
- model registry, feature store, model serving with low latency
- Kubernetes, Helm, Argo CD, Terraform; Prometheus + Grafana
- Airflow or Kubeflow pipelines; SageMaker / Vertex AI
- Go, Python
"""
GERMAN = """Wir suchen Sie! Maschinelles Lernen in der Produktion: Zeitreihen und Absatzprognosen mit
Python, MLflow und Docker, dazu Modellüberwachung, Versionsverwaltung und Datenpipe-
lines auf
Azure. Teamfähigkeit und Eigenverantwortung setzen wir voraus. Julia Meier freut sich auf Ihre
Bewerbung."""
FRENCH = (
    """Nous cherchons un ingénieur: séries temporelles, prévisions, Python, Docker, Kubernetes et Airflow."""
)


def names(text):
    return [term.term for term in named(plain(text))]


def test_every_term_teaches_what_exists():
    stems = [lesson.stem for lesson in outline.course()]
    bank = {question.id: question for question in load_bank()}
    subjects = {question.subject for question in bank.values()}
    for term in TERMS.values():
        for number in term.lessons:
            assert lessons.named(number, stems), f"{term.term}: there is no lesson {number}"
        for number in term.awaits:
            there = lessons.named(number, stems)
            assert there or number in TO_COME, f"{term.term} awaits {number}, which nobody plans"
        assert set(term.questions) <= bank.keys(), term.term
        assert set(term.subjects) <= subjects, term.term
        if term.idea:
            assert term.lessons or term.awaits, f"{term.term}: an idea that no lesson teaches"


def test_terms_are_many_and_each_name_belongs_to_one():
    assert len(TERMS) == len(load_terms()) >= 150
    assert {name.strip() for name in ASKED_FOR.replace("\n", " ").split(",")} <= TERMS.keys()
    untaught = [term for term in TERMS.values() if not (term.lessons or term.awaits or term.idea)]
    assert {"Kafka", "Terraform", "Scala"} <= {term.term for term in untaught}
    keys = Counter(
        key
        for term in TERMS.values()
        for key in {re.sub(r"[\s\-_/.]", "", name.casefold()) for name in (term.term, *term.also)}
    )
    assert [key for key, count in keys.items() if count > 1] == []


@pytest.mark.parametrize("term", TERMS.values(), ids=lambda term: term.term)
def test_each_name_of_a_term_is_found_and_not_within_a_word(term):
    for name in (term.term, *term.also):
        assert term.where(plain(f"Python, {name}, English")), name
        assert term.where(plain(f"({name})")), name
        assert not term.where(plain(f"xq{name}zq")), name
        assert term.word(plain(f"You know: {name}.")).casefold() == name.casefold()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("scikit learn; SCIKIT-LEARN; scikitlearn; sklearn", ["scikit-learn"]),
        ("CI / CD, CI-CD, cicd", ["CI/CD"]),
        ("k8s, Kubernetes-Cluster", ["Kubernetes"]),
        ("LLMs", ["large language model"]),
        ("A/B-Tests", ["A/B test"]),
        ("Kuber-\nnetes", ["Kubernetes"]),
        ("Data\u00adbricks, Delta\u00a0Lake, time\u2011series", ["Databricks", "Delta Lake", "time series"]),
        ("Python, R and Go", ["Python", "R", "Go"]),
        ("Python/R", ["Python", "R"]),
        ("experience with R or SAS", ["R", "SAS"]),
        ("Golang", ["Go"]),
        ("tools: spark, kafka", ["Spark", "Kafka"]),
        ("APACHE SPARK", ["Spark"]),
        ("C++ and C#", ["C++", "C#"]),
        ("Amazon S3", ["object storage"]),
    ],
)
def test_names_in_other_spellings(text, found):
    assert names(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "Our R&D team. R and D. R² of 0.9. Mr R. Meier. Human Resources (HR).",
        "Go beyond. Ready to go. A go-to person. Let it go, then. Google. Go for it.",
        "You excel with a spark of joy; the rest is at your helm. Evidently, a ray of hope.",
        "Javanese, sparkling, gitarist, kafkaesque, scalar, rustic, prophetic",
        "Julia Meier, a safe job, cutting-edge, a notebook of your choice, prophets",
    ],
)
def test_no_name_in_words_of_everyday(text):
    assert names(text) == (["Prophet"] if "prophets" in text else [])


def test_an_advertisement_of_consulting():
    found = names(CONSULTING)
    wanted = "Azure, Azure ML, Databricks, Spark, Delta Lake, CI/CD, Docker, Kubernetes, Terraform, drift"
    assert {*wanted.split(", "), "Python", "SQL"} <= set(found)
    assert {"scikit-learn", "unit test", "Scala", "Kafka", "consulting", "code review"} <= set(found)
    assert not {"R", "Go", "Excel", "REST API", "Java"} & set(found)


def test_an_advertisement_of_forecasting():
    found = names(FORECASTING)
    wanted = {
        "forecasting",
        "time series",
        "Prophet",
        "XGBoost",
        "backtesting",
        "conformal prediction",
        "ARIMA",
    }
    assert wanted | {"Python", "R", "Julia"} <= set(found)
    assert found[0] in wanted  # named twice
    weights = Weights(named(plain(FORECASTING)), [lesson.stem for lesson in outline.course()])
    assert set(list(weights.lessons)[:4]) <= {
        "13a_time_series",
        "13b_walk_forward",
        "13c_before_the_model",
        "14b_prophet",
        "15a_xgboost_walk_forward",
        "15b_intervals_and_prophet",
    }
    bank = load_bank()
    ids = {term: {one.id for one in questions} for term, questions in weights.questions(bank).items()}
    assert "drift-p-value-zero" not in set().union(*ids.values())
    assert {one.id for one in bank if one.subject == "time series"} <= ids["time series"]


def test_an_advertisement_of_a_platform():
    found = set(names(PLATFORM))
    assert {
        "MLOps",
        "model registry",
        "feature store",
        "model serving",
        "latency",
        "Kubernetes",
        "Helm",
    } <= found
    assert {
        "Argo",
        "Terraform",
        "Prometheus",
        "Grafana",
        "Airflow",
        "Kubeflow",
        "SageMaker",
        "Vertex AI",
    } <= found
    assert {"Go", "Python"} <= found


def test_advertisements_in_other_languages():
    german, french = set(names(GERMAN)), set(names(FRENCH))
    assert {"machine learning", "time series", "demand forecasting", "Python", "MLflow", "Docker"} <= german
    assert {"model monitoring", "Git", "ETL", "Azure", "teamwork", "ownership"} <= german
    assert "Julia" not in german
    assert {"time series", "forecasting", "Python", "Docker", "Kubernetes", "Airflow"} <= french


def test_lessons_to_come_count_as_soon_as_they_are_there():
    term = Term(term="Databricks", lessons=["05a"], awaits=["10", "16"])
    there = ["05a_models_and_flavors", "10a_databricks", "10b_azure", "11a_monitoring"]
    assert term.stems(there) == ["05a_models_and_flavors", "10a_databricks", "10b_azure"]
    assert term.coming(there) == ["16"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"%PDF-1.7\nPython, Docker", "is no text"),
        (b"PK\x03\x04\x00\x00Python", "is no text"),
        (bytes(range(256)) * 4, "is no text"),
        (b"<!DOCTYPE html><html>Python</html>", "web page"),
        (b"Python " * 750_000, "5.2 MB, more than"),
    ],
)
def test_a_file_that_is_no_advertisement_is_refused(tmp_path, content, why):
    file = tmp_path / "ad.txt"
    file.write_bytes(content)
    with pytest.raises(AdvertisementError, match=re.escape(why)) as caught:
        read(file)
    assert str(file) in str(caught.value)
    assert "save the advertisement's text" in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_what_other_systems_write_is_read(tmp_path, encoding):
    file = tmp_path / "ad.txt"
    file.write_bytes("Modellüberwachung, Zeitreihen\r\nPython".encode(encoding))
    assert [term.term for term in named(read(file))] == ["model monitoring", "time series", "Python"]


def test_a_file_of_terms_that_is_broken_is_said(tmp_path):
    file = tmp_path / "terms.yaml"
    file.write_text("- {term: Python, lessens: [I1]}\n")
    with pytest.raises(AdvertisementError, match="lessens.*restore it with git"):
        load_terms(file)
    with pytest.raises(AdvertisementError, match="can't be read"):
        advertisement.load_terms(tmp_path / "none.yaml")


@pytest.mark.skipif(os.name != "posix", reason="the device is POSIX's")
def test_a_device_without_an_end_is_refused():
    with pytest.raises(AdvertisementError, match="more than an advertisement's 1 MB"):
        advertisement.read(Path("/dev/zero"))
