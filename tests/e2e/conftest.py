# SPDX-License-Identifier: ISC
"""Fixtures of several files, each of which has a `summond` of its own."""
import pytest
from net import three_places


@pytest.fixture
def clean(summond):
    """Nothing of a test is there in the next."""
    yield
    summond.remove_all()


@pytest.fixture(scope="module")
def places(summond):  # whose bridge it is
    with three_places() as places:
        yield places
