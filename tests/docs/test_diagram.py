"""The architecture picture is up to date and drawn from the code."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.diagram import PICTURE, TEMPLATE, Stack, draw, standard_stack
from shared.contract.loader import load_contract
from tests.support.synthesized import variant

CONTRACT = load_contract()


def texts(picture: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(picture).iter() if e.tag.endswith("text")]


@pytest.fixture(scope="module")
def drawn() -> str:
    return draw(standard_stack(), CONTRACT, TEMPLATE)


def test_the_picture_in_the_repository_shows_what_there_is_now(drawn: str) -> None:
    assert PICTURE.read_text() == drawn, "run `make diagram`"


def test_the_readme_shows_it() -> None:
    assert "docs/architecture.svg" in (PICTURE.parents[1] / "README.md").read_text()


def test_both_halves_and_the_contract_are_in_it(drawn: str) -> None:
    found = texts(drawn)
    assert [text for text in found if text.startswith("us-east-1")] == ["us-east-1a", "us-east-1b"]
    assert found.count("instance · db.r5.large") == 3
    assert found.count("NAT gateway") == 1
    assert {parameter.name for parameter in CONTRACT.parameters} <= set(found)
    assert {"API Gateway · TradeApi", "Lambda · TradeFunction"} <= set(found)
    assert "POST /trade" in " · ".join(found).split(" · ")


def test_another_shape_gives_another_picture() -> None:
    production = draw(Stack(variant("production")["us-west-2"].document), CONTRACT, TEMPLATE)
    found = texts(production)
    assert "us-west-2a" in found
    assert found.count("NAT gateway") == 2


def test_all_of_it_lies_within_the_picture(drawn: str) -> None:
    root = ElementTree.fromstring(drawn)
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    for element in root.iter():
        if element.tag.endswith("rect"):
            x, y = (float(element.attrib.get(name, 0)) for name in ("x", "y"))
            assert 0 <= x <= x + float(element.attrib["width"]) <= width
            assert 0 <= y <= y + float(element.attrib["height"]) <= height


def test_a_template_with_more_functions_shows_them_all(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    more = """
  ReplayFunction:
    Type: AWS::Serverless::Function
    Properties:
      Description: Sends trades again
      Events:
        EachNight:
          Type: ScheduleV2
          Properties:
            ScheduleExpression: rate(1 day)
        OnMessage:
          Type: SQS
"""
    template.write_text(TEMPLATE.read_text().replace("\nResources:\n", f"\nResources:\n{more}"))
    found = texts(draw(standard_stack(), CONTRACT, template))
    assert {"Lambda · ReplayFunction", "rate(1 day) · SQS"} <= set(found)
